from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import inotify_simple

from agent.scout.inotify import open_inotify

if TYPE_CHECKING:
    import pytest


def test_it_never_blocks_and_is_not_inherited() -> None:
    inotify = open_inotify("nothing is watched")
    assert inotify is not None
    with inotify:
        assert not os.get_inheritable(inotify.fileno())
        assert not os.get_blocking(inotify.fileno())


def test_where_there_is_none_to_be_had_the_log_says_what_follows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(**_: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(inotify_simple, "INotify", none)
    assert open_inotify("limits are seen late") is None
    assert "limits are seen late" in caplog.text
