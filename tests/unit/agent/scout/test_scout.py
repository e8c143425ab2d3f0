from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent import wire
from agent.clock import Clock
from agent.config import load
from agent.model import is_running
from agent.scout.progress import Progress
from agent.scout.schedule import Task
from agent.scout.scout import Scout
from collectors.facts import ProcessId, Sighting, State
from collectors.hostfs import HostFS
from collectors.kernel.filesystem import read_host_mounts
from collectors.kernel.processes import read_pulse
from tests.hosts.archive import load as load_host
from tests.support import CLONE
from tests.support.clocks import Times

if TYPE_CHECKING:
    from agent.model import Snapshot
    from collectors.facts import HostFacts, Mount, Process

HOST = CLONE / "tests" / "hosts" / "v2.txt"


class Watched:
    """A scout on a captured host, and what it has sent so far."""

    def __init__(self, place: Path) -> None:
        self.proc = place / "proc"
        flags = {
            "path.procfs": str(self.proc),
            "path.sysfs": str(place / "sys"),
            "path.rootfs": str(place / "root"),
        }
        self._out = io.BytesIO()
        self.scout = Scout(load("", flags), frozenset(), Progress.create(), self._out)
        self.frames = wire.Frames()
        self.snapshot: Snapshot | None = None
        self.reads = 0
        inner = self.scout._reader.read

        def counting(**how: bool) -> object:
            self.reads += 1
            return inner(**how)

        self.scout._reader.read = counting  # type: ignore[method-assign,assignment]

    def sent(self) -> list[wire.Update]:
        """Return what has been sent since the last call."""
        data = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        found = list(self.frames.feed(data))
        updates = [update for update in found if isinstance(update, wire.Update)]
        for update in updates:
            self.snapshot = wire.apply(self.snapshot, update)
        return updates

    def pulse(self, started: int, tasks: int) -> None:
        """Have the kernel say how many tasks it has started, and how many there are."""
        (self.proc / "stat").write_text(f"cpu  1 2 3\nprocesses {started}\nprocs_running 1\n")
        (self.proc / "loadavg").write_text(f"0.10 0.20 0.30 1/{tasks} 4711\n")


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    load_host(HOST.read_text()).unpack(tmp_path)
    found = Watched(tmp_path)
    found.pulse(1000, 100)
    found.scout.run_pass(Task.FULL_PASS)
    # What is young is read again a few times; then there is rest.
    for _ in range(4):
        found.scout.check_for_changes()
    found.sent()
    found.reads = 0
    yield found
    found.scout.close()


def a_container(watched: Watched) -> tuple[str, int]:
    """Return the id of a container that runs, and the number of its only process."""
    assert watched.snapshot is not None
    return next(
        (c.id, c.init.pid)
        for c in watched.snapshot.containers.values()
        if c.init is not None and c.processes == 1
    )


def test_at_rest_a_glance_reads_no_process_and_still_says_that_it_is_there(
    watched: Watched,
) -> None:
    watched.scout.check_for_changes()

    (update,) = watched.sent()
    assert watched.reads == 0
    assert not update.changed
    assert not update.removed
    assert update.look_alikes is None
    assert update.collectors


def test_a_container_that_died_without_an_event_is_seen_by_the_next_glance(
    watched: Watched,
) -> None:
    found, pid = a_container(watched)
    shutil.rmtree(watched.proc / str(pid))
    watched.pulse(1000, 99)

    watched.scout.check_for_changes()

    watched.sent()
    assert watched.snapshot is not None
    assert watched.snapshot.containers[found].gone or not watched.snapshot.containers[found].init


def test_a_container_that_has_the_namespace_of_one_that_has_just_ended_is_another(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel gives a number again at once; what is found by a second reading has it, too."""
    key, pid = a_container(watched)
    old = watched.proc / str(pid)
    new = watched.proc / "99999"
    stat = (old / "stat").read_text()
    told = Sighting(
        collector="docker",
        engine="docker",
        instance="/run/docker.sock",
        engine_id="f" * 64,
        name="job",
        state=State.RUNNING,
        init=ProcessId(99999, int(stat.rpartition(")")[2].split()[19])),
    )

    first = watched.scout._table.by_pid[pid].id
    runs = Sighting(
        collector="runc", engine="crun", engine_id="other", state=State.RUNNING, init=first
    )

    def ask(*_: object, **__: object) -> None:
        """Docker knows it, as it was started after the processes were read."""
        shutil.copytree(old, new, symlinks=True)
        (new / "stat").write_text(stat.replace(f"{pid} (", "99999 (", 1))
        (new / "cgroup").write_text(f"0::/docker/{'f' * 64}\n")
        fields = stat.rpartition(") ")
        (old / "stat").write_text(f"{fields[0]}) Z{fields[2][1:]}")
        watched.scout._sightings = [told, runs]
        watched.scout._schedule.containers_changed()

    monkeypatch.setattr(watched.scout, "_ask_engines", ask)
    watched.scout.run_pass(Task.EVENT_PASS)

    watched.sent()
    assert watched.snapshot is not None
    found = {c.name: c for c in watched.snapshot.containers.values()}
    assert found["job"].id == f"/docker/{'f' * 64}"
    assert found["job"].init == told.init
    assert not is_running(watched.snapshot.containers[key])


def test_a_container_that_came_without_an_event_is_seen_by_the_next_glance(
    watched: Watched, tmp_path: Path
) -> None:
    found, pid = a_container(watched)
    aside = tmp_path / "aside"
    (watched.proc / str(pid)).rename(aside)
    watched.pulse(1000, 99)
    watched.scout.check_for_changes()
    watched.sent()
    aside.rename(watched.proc / str(pid))
    watched.pulse(1001, 100)

    watched.scout.check_for_changes()

    (update,) = watched.sent()
    assert found in {c.id for c in update.changed if c.init is not None}


def test_an_old_process_that_unshares_in_place_is_seen_by_a_glance(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No number moves when it does."""
    monkeypatch.setattr("collectors.kernel.process_moves.SHARE", float("inf"))
    monkeypatch.setattr("collectors.kernel.process_moves._LONGEST", float("inf"))
    of_host = next(p for p in watched.scout._table if _lives_on(p, watched.scout.facts))
    link = watched.proc / str(of_host.pid) / "ns/mnt"
    link.unlink()
    link.symlink_to("mnt:[4711]")

    watched.scout.check_for_changes()  # goes on with those that the last one had no time for
    watched.scout.check_for_changes()

    assert watched.scout._table.by_pid[of_host.pid].namespaces.mnt == 4711


@pytest.mark.parametrize("beside_events", [False, True])
def test_an_old_process_that_executes_another_program_is_seen(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, *, beside_events: bool
) -> None:
    """No number moves when it does, and while events keep coming there are no checks."""
    monkeypatch.setattr("collectors.kernel.process_execs.SHARE", float("inf"))
    monkeypatch.setattr("collectors.kernel.process_execs._LONGEST", float("inf"))
    _, pid = a_container(watched)
    link, stat = (watched.proc / str(pid) / name for name in ("exe", "stat"))
    link.unlink()
    link.symlink_to("/usr/sbin/other")
    fields = stat.read_text().rpartition(")")[2].split()
    fields[23:26] = ["4711"] * 3  # another program has another memory map
    stat.write_text(f"{pid} (other) {' '.join(fields)}\n")
    watched.scout._execs._looked_at = None  # long ago
    watched.scout._execs._left = []
    watched.scout._schedule._idle_inventory_at = float("inf")

    if beside_events:
        watched.scout.run_pass(Task.EVENT_PASS)
    else:
        watched.scout.check_for_changes()

    assert watched.scout._last_pass is not None
    (group,) = (g for g in watched.scout._last_pass.groups.values() if g.leader.pid == pid)
    assert group.leader.exe == "/usr/sbin/other"


def _lives_on(process: Process, host: HostFacts) -> bool:
    return process.root == host.root and process.namespaces.mnt == host.namespaces.mnt


def test_a_process_of_the_host_makes_no_new_picture_before_it_is_its_turn(
    watched: Watched,
) -> None:
    host = watched.scout.facts.namespaces.mnt
    of_host = next(
        p for p in watched.scout._reader.read(full=False) if p.namespaces.mnt == host and p.pid > 1
    )
    before = watched.scout._last_pass
    shutil.rmtree(watched.proc / str(of_host.pid))
    watched.pulse(1001, 99)
    watched.scout._schedule._idle_inventory_at = float("inf")

    watched.scout.check_for_changes()
    assert watched.scout._last_pass is before

    watched.scout._schedule._idle_inventory_at = 0.0
    watched.scout.check_for_changes()
    assert watched.scout._last_pass is not before


def test_where_the_kernel_gives_no_pulse_every_glance_looks(watched: Watched) -> None:
    (watched.proc / "loadavg").unlink()
    assert read_pulse(HostFS(str(watched.proc))) is None

    watched.scout.check_for_changes()
    watched.scout.check_for_changes()

    assert watched.reads >= 2


def test_the_first_picture_comes_in_parts_and_names_everyone(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.scout.outbox._PART_SIZE", 2)
    again = Watched(watched.proc.parent)

    again.scout.run_pass(Task.FULL_PASS)

    *parts, last = again.sent()
    again.scout.close()
    assert watched.snapshot is not None
    assert len(parts) == len(watched.snapshot.containers) // 2
    assert not any(part.complete for part in parts)
    assert last.complete
    assert last.everyone == set(watched.snapshot.containers)
    ids = [c.id for update in (*parts, last) for c in update.changed]
    assert sorted(ids) == sorted(last.everyone)


def test_the_hosts_mounts_are_read_once_for_all_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each container adds to them: read for each, they took seconds with a thousand."""
    asked: list[dict[str, Mount]] = []
    wanted: list[object] = []

    def reading(host: HostFS) -> dict[str, Mount]:
        asked.append(read_host_mounts(host))
        return asked[-1]

    def usage(*given: Any) -> None:
        wanted.append(given[-1]())

    monkeypatch.setattr("agent.scout.evidence.read_host_mounts", reading)
    monkeypatch.setattr("agent.scout.evidence.read_container_filesystem", usage)
    load_host(HOST.read_text()).unpack(tmp_path)
    watched = Watched(tmp_path)
    watched.scout.run_pass(Task.FULL_PASS)
    watched.scout.close()

    assert len(wanted) > 2
    assert len(asked) == 1


def test_pulse_of_this_machine_moves_with_a_new_process() -> None:
    before = read_pulse(HostFS())
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    assert before is not None
    after = read_pulse(HostFS())
    assert after is not None
    assert after[0] > before[0]


@pytest.fixture
def set_clock(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    scout = watched.scout
    scout._clock = Clock(times.read_wall, times.read_steady)
    monkeypatch.setattr("agent.scout.scout.time.time", times.read_wall)
    scout.facts = replace(scout.facts, boot_time=times.wall)
    scout.run_pass(Task.FULL_PASS)
    watched.sent()
    return times


@pytest.mark.parametrize("seconds", [86400.0, -86400.0])
def test_a_scout_follows_its_clock(seconds: float, watched: Watched, set_clock: Times) -> None:
    assert watched.snapshot is not None
    before = watched.snapshot.containers
    set_clock.wall += seconds

    watched.scout.check_for_changes()

    watched.sent()
    after = watched.snapshot.containers
    assert after.keys() == before.keys()
    by_the_kernel = 0
    for key, container in after.items():
        if container.init is None or container.started is None:
            continue
        since_boot = container.init.start_ticks / os.sysconf("SC_CLK_TCK")
        if before[key].started == pytest.approx(Times().wall + since_boot, abs=0.1):
            assert container.started == pytest.approx(set_clock.wall + since_boot, abs=0.1)
            by_the_kernel += 1
    assert by_the_kernel
    for key, container in after.items():
        assert container.style_changes == before[key].style_changes == 0
        assert container.verdict == before[key].verdict
