from __future__ import annotations

from pathlib import Path

from collectors.engines.runc.collector import OciCollector
from collectors.facts import Process, ProcessId, State
from tests.support.as_root import AS_ROOT
from tests.support.engine_host import EngineHost, by_name, contained

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


def test_a_state_directory_by_the_fifo_of_a_container_that_waits(tmp_path: Path) -> None:
    host = EngineHost(tmp_path)
    host.copy("runtimes/runc-state.json", "/else/where/deep/down/odd/state.json")
    host.write("/else/where/deep/down/odd/exec.fifo", "")
    host.link("proc:20691/fd/5", "/else/where/deep/down/odd/exec.fifo")
    found = by_name(OciCollector().collect(host.context(runc_init())))["odd"]
    assert (found.state, found.init) == (State.CREATED, RUNC_INIT)
