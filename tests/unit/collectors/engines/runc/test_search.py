from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.engines.runc import search
from collectors.engines.runc.collector import OciCollector
from collectors.engines.shared.processes import started_at
from collectors.facts import Process, ProcessId, Sighting, State
from tests.support.as_root import AS_ROOT
from tests.support.engine_host import EngineHost, by_name, contained

if TYPE_CHECKING:
    import pytest

RUNC_INIT = ProcessId(20691, 172017)


def runc_init() -> Process:
    return contained(20691, "/a-runc", id=RUNC_INIT)


@AS_ROOT
def test_a_state_directory_that_only_a_gone_runtime_knew(tmp_path: Path) -> None:
    """Beside the bundle, and remembered as long as it is there."""
    host = EngineHost(tmp_path)
    host.copy("runtimes/runc-state.json", "/srv/lab/state/odd/state.json")
    host.write("proc:20691/mountinfo", "9 8 1:1 /srv/lab/bundle/rootfs / ro - ext4 /dev/a rw\n")
    collector = OciCollector()
    found = by_name(collector.collect(host.context(runc_init())))["odd"]
    assert (found.engine, found.init, found.instance) == ("runc", RUNC_INIT, "/srv/lab/state")
    ended = by_name(collector.collect(host.context()))["odd"]
    assert ended.state is State.EXITED


@AS_ROOT
def test_a_search_that_takes_long_goes_on_in_the_next_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What becomes a daemon in a chroot is searched for, too, and /tmp may be full."""
    monkeypatch.setattr(search, "_SECONDS", 0.0)
    host = EngineHost(tmp_path)
    host.copy("runtimes/runc-state.json", "/root/state/odd/state.json")
    host.write("proc:20691/mountinfo", "9 8 1:1 / / ro - ext4 /dev/a rw\n")
    for number in range(20):
        host.write(f"/tmp/{number}/file", "")
    collector, passes = OciCollector(), 0
    woken = threading.Event()
    found: dict[str, Sighting] = {}
    while "odd" not in found and passes < 100:
        ctx = dataclasses.replace(host.context(runc_init()), first=False, wake=woken.set)
        found = by_name(collector.collect(ctx))
        passes += 1
    assert 1 < passes < 100
    assert found["odd"].init == RUNC_INIT
    assert woken.wait(60)


@AS_ROOT
def test_each_orphan_is_searched_for_twice_and_a_package_list_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks: list[float] = []
    go_on = search._Walk.go_on

    def counted(walk: search._Walk, seconds: float) -> bool:
        walks.append(walk.begun)
        return go_on(walk, seconds)

    monkeypatch.setattr(search._Walk, "go_on", counted)
    read: list[str] = []
    monkeypatch.setattr(search, "read_object", lambda _, name: read.append(name))
    host = EngineHost(tmp_path)
    host.write("/srv/chroot/dpkg/status", "Package: adduser\n" * 10_000)
    host.write("proc:20691/mountinfo", "9 8 1:1 /srv/chroot / ro - ext4 /dev/a rw\n")
    finder = search.StateSearch()
    started = started_at(host.context(runc_init()), runc_init())
    assert started is not None
    for seconds in (0, 1, 2, 4, 6, 7, 60):
        ctx = dataclasses.replace(host.context(runc_init()), now=started + seconds)
        finder.find(ctx, frozenset())
    assert [now - started for now in walks] == [0, 6]
    assert read == []


def test_a_state_directory_by_the_fifo_of_a_container_that_waits(tmp_path: Path) -> None:
    host = EngineHost(tmp_path)
    host.copy("runtimes/runc-state.json", "/else/where/deep/down/odd/state.json")
    host.write("/else/where/deep/down/odd/exec.fifo", "")
    host.link("proc:20691/fd/5", "/else/where/deep/down/odd/exec.fifo")
    found = by_name(OciCollector().collect(host.context(runc_init())))["odd"]
    assert (found.state, found.init) == (State.CREATED, RUNC_INIT)
