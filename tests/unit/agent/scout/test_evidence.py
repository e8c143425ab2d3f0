"""What is read of a container, and what is kept: the readers of the kernel are counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from agent.inventory.groups import Group
from agent.model import Container
from agent.scout import evidence, limits
from agent.scout.evidence import CachedEvidence, EvidenceReader, unreaped
from collectors.facts import (
    CronJob,
    Descriptors,
    FileId,
    FilesystemUsage,
    Isolation,
    Limits,
    Listener,
    Mount,
    NetworkFacts,
    Process,
    ProcessId,
    RootFacts,
    ServiceFiles,
    SshdRules,
    State,
)
from collectors.hostfs import Denied, HostFS
from collectors.kernel.descriptors import SocketOwners
from tests.support.processes import HOST, mount, process

NOW = 1_700_000_000.0
LIMITS = Limits(pids=7)


class Reads(Counter[str]):
    """How often each reader was called; those in ``denied`` fail."""

    def __init__(self) -> None:
        super().__init__()
        self.denied: set[str] = set()

    def count(self, name: str, value: Any) -> Any:
        self[name] += 1
        if name in self.denied:
            raise Denied(name, "it is not ours")
        return value


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    reads = Reads()
    values: dict[str, Any] = {
        "mounts": (mount("/", 60, "/", "overlay"),),
        "root": RootFacts(),
        "network": NetworkFacts(),
        "isolation": Isolation(),
        "limits": LIMITS,
        "host_mounts": {},
    }

    def fake(name: str) -> Any:
        return lambda *_: reads.count(name, values[name])

    def usage(*given: Any) -> FilesystemUsage:
        host_mounts: Mapping[str, Mount] = given[-1]()
        assert host_mounts == {}
        used: FilesystemUsage = reads.count("filesystem", FilesystemUsage(used_bytes=9))
        return used

    for name in values:
        module = limits if name == "limits" else evidence
        monkeypatch.setattr(module, f"read_{name}", fake(name))
    monkeypatch.setattr(evidence, "read_container_filesystem", usage)
    return reads


@pytest.fixture
def reader(reads: Reads) -> EvidenceReader:
    assert not reads
    reader = EvidenceReader(HostFS())
    reader.limits.open()
    return reader


def inside(pid: int = 10, net: int = 50, root: int = 1, **more: Any) -> Process:
    return process(pid, ns={"mnt": 40 + pid, "net": net, "pid": 60}, root=root, **more)


def read(
    reader: EvidenceReader, *members: Process, now: float = NOW, **container: Any
) -> CachedEvidence:
    """Read a container, which is called after its first process, in a pass of its own."""
    leader, *_ = members or (inside(),)
    values = {"engine": "docker", "state": State.RUNNING, **container}
    made = Container(id=f"/{leader.pid}", init=leader.id, **values)
    group = Group(leader, list(members or (leader,)))
    found = reader.read(made, group, HOST, now)
    reader.end_pass()
    return found


def test_everything_is_read_once_and_kept(reader: EvidenceReader, reads: Reads) -> None:
    first = read(reader)
    assert (first.limits, first.filesystem) == (LIMITS, FilesystemUsage(used_bytes=9))
    assert (first.root, first.network) == (RootFacts(), NetworkFacts())
    assert read(reader, now=NOW + 49) is first
    assert set(reads.values()) == {1}


@pytest.mark.parametrize(
    "changed",
    [
        {"members": (inside(), inside(11))},
        {"members": (inside(exe="/bin/other"),)},
        {"members": (inside(argv=("other",)),)},
        {"members": (inside(uid=1),)},
        {"name": "other"},
        {"image": "other"},
        {"restarts": 1},
        {"health": "healthy"},
        {"state": State.PAUSED},
    ],
    ids=str,
)
def test_what_changed_is_read_again(
    reader: EvidenceReader, reads: Reads, changed: dict[str, Any]
) -> None:
    first = read(reader)
    assert read(reader, *changed.pop("members", ()), **changed) is not first
    assert reads["root"] == 2


def test_another_first_process_is_another_life(reader: EvidenceReader) -> None:
    first = read(reader)
    again = inside(id=ProcessId(10, 5000))
    assert read(reader, again).init == again.id
    assert first.init != again.id


def test_what_stays_the_same_is_read_again_after_ten_minutes(reader: EvidenceReader) -> None:
    first = read(reader)
    assert read(reader, now=NOW + 599) is first
    assert read(reader, now=NOW + 600) is not first


def test_the_filesystem_is_read_again_while_all_else_is_kept(
    reader: EvidenceReader, reads: Reads
) -> None:
    first = read(reader)
    assert read(reader, now=NOW + 50) is first
    assert (reads["filesystem"], reads["host_mounts"], reads["root"]) == (2, 2, 1)
    reads.denied.add("filesystem")
    assert read(reader, now=NOW + 100).filesystem is None


@pytest.mark.parametrize(
    ("mounts", "used", "upper"),
    [
        ((mount("/", 60, "/", "overlay", "rw,lowerdir=/l,upperdir=/u"),), None, "/u"),
        ((mount("/", 60, "/", "overlay", "rw,lowerdir=/l,upperdir=/u"),), 9, ""),
        ((mount("/", 60, "/", "overlay", "rw,lowerdir=/l"),), None, ""),
        ((mount("/", 60, "/", "ext4", "rw,upperdir=/u"),), None, ""),
        ((mount("/data", 60, "/", "overlay", "rw,upperdir=/u"),), None, ""),
        # Of two mounts on one place the later one is seen.
        (
            (
                mount("/", 60, "/", "overlay", "rw,upperdir=/below"),
                mount("/", 61, "/", "overlay", "rw,upperdir=/u"),
            ),
            None,
            "/u",
        ),
        ((), None, ""),
        (None, None, ""),
    ],
)
def test_what_is_walked_is_the_upper_directory_of_an_overlay_that_no_quota_measures(
    reader: EvidenceReader, mounts: tuple[Mount, ...] | None, used: int | None, upper: str
) -> None:
    found = read(reader)
    assert reader.unmeasured() == {}
    found.mounts, found.filesystem = mounts, FilesystemUsage(used_bytes=used)
    assert reader.unmeasured() == ({"/10": upper} if upper else {})
    found.filesystem = None
    reader.retain([])
    assert reader.unmeasured() == {}


def test_a_young_container_is_read_again_each_time_its_age_has_doubled(
    reader: EvidenceReader,
) -> None:
    found, times = None, []
    for tenth in range(1000):
        new = read(reader, now=NOW + tenth / 10, started=NOW)
        if new is not found:
            times.append(tenth / 10)
        found = new
    assert times == [0, 1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize("started", [None, NOW - 31, NOW + 31])
def test_any_other_is_not_due(reader: EvidenceReader, started: float | None) -> None:
    read(reader, started=started)
    assert not reader.is_due(NOW + 500)


def test_zombies_are_unreaped_once_they_have_stayed(reader: EvidenceReader) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    started = HOST.boot_time + 5000
    zombie = process(11, 10, state="Z", id=ProcessId(11, 5000 * ticks))
    group = Group(inside(), [inside(), zombie])
    assert unreaped(group, HOST, started + 29) == []
    assert unreaped(group, HOST, started + 30) == [zombie]
    visitors = Group(inside(), [inside(), zombie], visitors=frozenset({11}))
    assert unreaped(visitors, HOST, started + 30) == []
    read(reader, inside(), zombie, now=started + 10)
    assert not reader.is_due(started + 29)
    assert reader.is_due(started + 30)
    read(reader, inside(), zombie, now=started + 31)
    assert not reader.is_due(started + 500)


def test_who_is_due_is_known_without_reading(reader: EvidenceReader) -> None:
    read(reader, started=NOW - 5)
    read(reader, inside(20), started=NOW - 9)
    assert (reader.is_due(NOW + 4), reader.due(NOW + 4)) == (False, set())
    assert (reader.is_due(NOW + 6), reader.due(NOW + 6)) == (True, {"/10"})
    assert reader.due(NOW + 9) == {"/10", "/20"}


def test_a_step_of_the_clock_makes_nothing_due(reader: EvidenceReader) -> None:
    first = read(reader, started=NOW - 5)
    reader.shift(3600)
    assert not reader.is_due(NOW + 3604)
    assert read(reader, now=NOW + 3604, started=NOW + 3595) is first
    assert reader.is_due(NOW + 3606)


def test_a_changed_limit_is_new_evidence_for_which_nothing_else_is_read(
    reader: EvidenceReader, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read(reader)
    before = reads.total()
    assert not reader.is_due(NOW)
    # A write of the same value is no news.
    reader.limits.outdated.add("/10")
    monkeypatch.setattr(reader.limits, "drain", lambda: bool(reader.limits.outdated))
    assert reader.is_due(NOW)
    assert reader.due(NOW) == {"/10"}
    assert read(reader) is first
    assert not reader.is_due(NOW)
    reader.limits.outdated.add("/10")
    monkeypatch.setattr(limits, "read_limits", lambda *_: Limits(pids=8))
    again = read(reader)
    assert again is not first
    assert (again.limits.pids, again.root) == (8, first.root)
    assert reads.total() == before + 1


def test_those_that_are_gone_are_forgotten(reader: EvidenceReader) -> None:
    first = read(reader, started=NOW - 5)
    reader.retain({"/other"})
    reader.end_pass()
    assert not reader.is_due(NOW + 500)
    assert read(reader, started=NOW - 5) is not first


def test_what_hung_a_scout_is_not_read(reads: Reads) -> None:
    begun: list[str] = []
    reader = EvidenceReader(HostFS(), skip=frozenset({"container 10 110"}), begin=begun.append)
    skipped = read(reader)
    assert (skipped.mounts, skipped.root, skipped.limits) == (None, None, Limits())
    assert (reads.total(), begun) == (0, [])
    read(reader, inside(20))
    assert begun == ["container 20 120"]


def test_what_cannot_be_read_is_none(reader: EvidenceReader, reads: Reads) -> None:
    reads.denied |= {"mounts", "root", "network"}
    found = read(reader)
    assert (found.mounts, found.root, found.network, found.filesystem) == (None,) * 4
    assert found.limits == LIMITS


def test_the_hosts_own_network_is_not_read(reader: EvidenceReader, reads: Reads) -> None:
    assert read(reader, inside(net=HOST.namespaces.net or 0)).network is None
    assert reads["network"] == 0


def test_within_a_pass_nothing_is_read_twice(reader: EvidenceReader, reads: Reads) -> None:
    for pid in (10, 20):
        leader = inside(pid, root=1)
        assert leader.root == FileId(51, 2)
        made = Container(id=f"/{pid}", engine="docker", init=leader.id)
        reader.read(made, Group(leader, [leader]), HOST, NOW)
    reader.mounts(10)
    assert (reads["root"], reads["network"], reads["host_mounts"]) == (1, 1, 1)
    assert (reads["mounts"], reads["filesystem"], reads["isolation"]) == (2, 2, 2)
    reader.end_pass()
    reader.mounts(10)
    assert reads["mounts"] == 3


def test_a_socket_that_none_of_its_processes_has_open_is_not_its_own(
    reader: EvidenceReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as those of its engine, or of another container in the same network."""
    listeners = tuple(
        Listener(protocol="tcp", address=address, port=port, inode=port)
        for address, port in (("0.0.0.0", 80), ("10.0.0.1", 53), ("127.0.0.11", 4053))
    )
    network = NetworkFacts(default_route=True, listeners=listeners)
    monkeypatch.setattr(evidence, "read_network", lambda *_: network)
    asked: list[tuple[list[int], list[int]]] = []

    def owners(_: HostFS, pids: list[int], inodes: list[int]) -> SocketOwners:
        asked.append((pids, inodes))
        return SocketOwners({80: 11}, frozenset({53}))

    monkeypatch.setattr(evidence, "socket_owners", owners)
    found = read(reader, inside(), inside(11)).network
    assert found is not None
    assert [s.port for s in found.listeners] == [80]
    assert found.default_route
    assert asked == [([10, 11], [80, 53, 4053])]


class TestClaims:
    """Processes that call themselves services are read more closely."""

    @staticmethod
    def reading(monkeypatch: pytest.MonkeyPatch, *links: str) -> list[int]:
        asked: list[int] = []

        def read_descriptors(_: HostFS, pid: int) -> Descriptors:
            asked.append(pid)
            return Descriptors(links=dict(enumerate(links)))

        monkeypatch.setattr(evidence, "read_descriptors", read_descriptors)
        return asked

    def test_what_they_have_open_is_read_and_of_no_other(
        self, reader: EvidenceReader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = self.reading(monkeypatch, "/a")
        found = read(reader, inside(), inside(11, exe="/usr/sbin/sshd"))
        assert asked == [11]
        assert found.descriptors == {11: Descriptors(links={0: "/a"})}

    def test_what_may_not_be_read_is_not_known(
        self, reader: EvidenceReader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denied(*_: object) -> Descriptors:
            raise Denied("fd", "it is not ours")

        monkeypatch.setattr(evidence, "read_descriptors", denied)
        assert read(reader, inside(exe="/usr/sbin/sshd")).descriptors == {}

    @pytest.mark.parametrize(("links", "waits"), [((), [1, 1, 2, 4, 8, 16]), (("/a",), [1, 1, 2])])
    def test_after_a_change_it_is_read_again_until_it_has_settled(
        self,
        reader: EvidenceReader,
        monkeypatch: pytest.MonkeyPatch,
        links: tuple[str, ...],
        waits: list[int],
    ) -> None:
        """An entrypoint became a service, which opens its sockets a moment later."""
        self.reading(monkeypatch, *(f"socket:[{n}]" for n in range(4) if links))
        read(reader, inside(exe="/bin/sh"))
        now, waited = NOW + 100, []
        while (found := read(reader, inside(exe="/usr/sbin/sshd"), now=now)).due < float("inf"):
            waited.append(found.due - now)
            now = found.due
        assert waited == waits

    def test_a_visitor_is_no_change(self, reader: EvidenceReader) -> None:
        read(reader, inside())
        group = Group(inside(), [inside(), inside(11)], visitors=frozenset({11}))
        made = Container(id="/10", engine="docker", init=inside().id, state=State.RUNNING)
        assert reader.read(made, group, HOST, NOW + 100).due == float("inf")


class TestServiceFiles:
    """The tables of a cron and the rules of an sshd are read where one runs, and then only."""

    @pytest.fixture(autouse=True)
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        asked: list[object] = []

        def jobs(_: HostFS, pid: int, tables: tuple[str, ...]) -> tuple[CronJob, ...]:
            asked.append(("cron", pid, tables))
            return (CronJob(command="x"),)

        def rules(_: HostFS, pid: int, path: str) -> SshdRules:
            asked.append(("sshd", pid, path))
            return SshdRules(forced_command="x")

        monkeypatch.setattr(evidence, "read_cron_jobs", jobs)
        monkeypatch.setattr(evidence, "read_sshd_rules", rules)
        monkeypatch.setattr(evidence, "read_descriptors", lambda *_: Descriptors())
        return asked

    def test_of_others_nothing_is_read(self, reader: EvidenceReader, asked: list[object]) -> None:
        assert read(reader, inside(exe="/usr/sbin/nginx")).files == ServiceFiles()
        assert asked == []

    def test_those_of_a_cron_and_an_sshd_are_read_once_and_kept(
        self, reader: EvidenceReader, asked: list[object]
    ) -> None:
        argv = ("/usr/sbin/sshd", "-f", "/own")
        both = (inside(exe="/usr/sbin/cron"), inside(11, exe="/usr/sbin/sshd", argv=argv))
        found = [read(reader, *both, now=NOW + 1000 + i) for i in range(3)]
        assert asked == [("cron", 10, ()), ("sshd", 10, "/own")]
        assert found[-1].files == ServiceFiles(
            jobs=(CronJob(command="x"),), sshd=SshdRules(forced_command="x")
        )
