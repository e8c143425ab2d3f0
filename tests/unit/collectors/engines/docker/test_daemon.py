from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.engines.docker.daemon import DaemonReader
from collectors.engines.docker.discovery import Daemon
from collectors.engines.docker.errors import ApiError
from tests.support.as_root import AS_ROOT
from tests.support.engine_host import EngineHost, by_name
from tests.support.processes import process
from tests.unit.collectors.engines.docker.test_disk import furnish

if TYPE_CHECKING:
    from collectors.facts import Sighting

STORE = "/home/joe/docker"


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    host = EngineHost(tmp_path)
    furnish(host, STORE)
    return host


def on_disk(host: EngineHost, reader: DaemonReader, uid: int = 0) -> dict[str, Sighting]:
    owner = process(50, uid=uid)
    daemon = Daemon(instance="x", view=owner, data_root=STORE, is_untrusted=bool(uid))
    return by_name(reader.fallback(host.context(owner), daemon))


def test_the_files_of_a_daemon_that_does_not_answer(host: EngineHost) -> None:
    found = on_disk(host, DaemonReader())
    assert found.keys() == {"web", "done", "new"}
    assert {s.instance for s in found.values()} == {"x"}


@AS_ROOT
def test_the_folder_of_containers_is_watched_where_there_are_no_events(host: EngineHost) -> None:
    watched: list[str] = []

    def watch(path: str, *, files: bool = False) -> None:
        assert not files
        watched.append(path)

    for uid, owner in ((1000, 1000), (0, 0)):
        os.chown(host.at(STORE), owner, owner)
        daemon = Daemon(
            instance="x", view=process(50, uid=uid), data_root=STORE, is_untrusted=bool(uid)
        )
        context = replace(host.context(process(50, uid=uid)), watch=watch)
        assert DaemonReader().fallback(context, daemon)
    assert watched == [f"{STORE}/containers"]


@AS_ROOT
def test_a_user_is_believed_of_a_data_root_of_his_own_only(host: EngineHost) -> None:
    """His daemon can name any: what is in that of root, or of another user, is not his."""
    os.chown(host.at(STORE), 1001, 1001)
    assert on_disk(host, DaemonReader(), uid=1000) == {}
    os.chown(host.at(STORE), 1000, 1000)
    assert on_disk(host, DaemonReader(), uid=1000).keys() == {"web", "done", "new"}


def test_containers_of_a_daemon_are_gone_with_its_files(host: EngineHost) -> None:
    reader = DaemonReader()
    assert on_disk(host, reader)
    host.at(STORE).rename(host.at("/home/joe/elsewhere"))
    assert on_disk(host, reader) == {}


def test_one_that_was_never_asked_has_no_answer(host: EngineHost) -> None:
    with pytest.raises(ApiError):
        DaemonReader().finish(host.context(), until=0.0)
