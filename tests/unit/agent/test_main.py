"""A Python that is too old is told so, by code that it can read."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

import pytest

import agent

FILE = Path(agent.__file__).with_name("__main__.py")


def test_an_old_python_can_read_what_it_is_told() -> None:
    ast.parse(FILE.read_text(), feature_version=(3, 4))


def test_an_old_python_is_told_which_one_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FILE))
    assert ended.value.code == 2
    assert capsys.readouterr().err == "tallyman: needs Python 3.11 or newer, and this is 3.9\n"
