"""Who is judged when; the evidence is made up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from agent.inventory.groups import Group
from agent.inventory.inventory import InventoryPass
from agent.model import Container, Style, Subject, Task, Verdict
from agent.scout.evidence import CachedEvidence, EvidenceReader
from agent.scout.judge import Judge
from agent.scout.verdicts import Verdicts
from agent.wire import unpack
from collectors.facts import HostFacts, Isolation, Limits, NetworkFacts, RootFacts, State
from collectors.hostfs import HostFS
from collectors.kernel.disk_walk import DiskWalk
from tests.support.processes import HOST, process

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

NOW = 1_700_000_000.0
RUNNING = (10, 20)


class Evidence(EvidenceReader):
    """Reads nothing; ``outdated`` are those of which it would read something new."""

    def __init__(self) -> None:
        super().__init__(HostFS())
        self.kept: dict[str, CachedEvidence] = {}
        self.outdated: set[str] = set()
        self.retained: set[str] = set()
        self.limits_of = Limits(pids=7)
        self.uppers: dict[str, str] = {}

    def retain(self, ids: Collection[str]) -> None:
        self.retained = set(ids)

    def read(
        self,
        container: Container,
        group: Group,
        facts: HostFacts,  # noqa: ARG002
        now: float,
    ) -> CachedEvidence:
        if container.id in self.outdated or container.id not in self.kept:
            self.kept[container.id] = CachedEvidence(
                init=group.leader.id,
                signature=(),
                read_at=now,
                due=0.0,
                mounts=None,
                root=RootFacts(os_name="Debian 12", os_version="12"),
                network=NetworkFacts(default_route=True),
                isolation=Isolation(),
                limits=self.limits_of,
            )
        return self.kept[container.id]

    def due(self, now: float) -> set[str]:  # noqa: ARG002
        return self.outdated

    def unmeasured(self) -> dict[str, str]:
        return self.uppers


@dataclass
class Counting(Verdicts):
    """Notes whom it judges; those in ``impossible`` it cannot."""

    impossible: set[str] = field(default_factory=set)
    judged: list[Subject] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def judge(self, subject: Subject) -> Container:
        if subject.container.id in self.impossible:
            raise KeyError(subject.container.id)
        self.judged.append(subject)
        return super().judge(subject)

    def take(self) -> list[str]:
        """Return the ids of those that were judged since the last call."""
        ids = [subject.container.id for subject in self.judged]
        self.judged.clear()
        return ids


@dataclass
class Bench:
    evidence: Evidence = field(default_factory=Evidence)
    verdicts: Counting = field(default_factory=Counting)

    def __post_init__(self) -> None:
        self.judge = Judge(self.evidence, self.verdicts)

    def all(self, inventory: InventoryPass) -> dict[str, Container]:
        return self.judge.judge_all(inventory, HOST, NOW)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def inventory(*silent: Container, running: Iterable[int] = RUNNING) -> InventoryPass:
    """Return an inventory of some that run, and of others."""
    leaders = {f"/{pid}": process(pid, exe="/usr/bin/redis-server") for pid in running}
    containers = {
        key: Container(id=key, engine="docker", state=State.RUNNING, init=leader.id)
        for key, leader in leaders.items()
    }
    return InventoryPass(
        containers=containers | {container.id: container for container in silent},
        groups={
            key: Group(leader, [leader, process(leader.pid + 1, state="Z")])
            for key, leader in leaders.items()
        },
        look_alikes=(),
        nested={"/10": 2},
    )


def test_each_is_judged_on_its_evidence(bench: Bench) -> None:
    judged = bench.all(inventory())
    assert (judged["/10"].limits.pids, judged["/10"].listeners) == (7, 0)
    assert judged["/10"].expected_style is Style.APP
    assert (judged["/10"].os_name, judged["/10"].os_version) == ("Debian 12", "12")
    assert judged["/10"].default_route is True
    first = bench.verdicts.judged[0]
    assert (first.nested, first.network) == (2, NetworkFacts(default_route=True))
    assert [p.pid for p in first.processes] == [10], "a zombie does nothing"


def test_shares_are_the_engines_own_where_the_weight_has_them(bench: Bench) -> None:
    bench.evidence.limits_of = Limits(cpu_weight=20, cpu_shares=512)
    given = inventory()
    shares = {"/10": 513, "/20": 2048}
    containers = {k: replace(c, cpu_shares=shares[k]) for k, c in given.containers.items()}
    judged = bench.all(replace(given, containers=containers))
    assert (judged["/10"].limits.cpu_shares, judged["/20"].limits.cpu_shares) == (513, 512)


class Walk(DiskWalk):
    """Walks nothing."""

    def __init__(self) -> None:
        super().__init__(HostFS(), 1)
        self.wanted: dict[str, str] = {}
        self.known: dict[str, int] = {}

    def want(self, directories: Mapping[str, str]) -> None:
        self.wanted = dict(directories)

    def size(self, key: str) -> int | None:
        return self.known.get(key)


def test_what_was_written_is_as_walked_and_else_as_the_engine_says(bench: Bench) -> None:
    walk = Walk()
    bench.judge = Judge(bench.evidence, bench.verdicts, walk)
    bench.evidence.uppers = {"/10": "/var/lib/docker/overlay2/a/diff"}
    given = inventory()
    told = {key: replace(c, writable_layer_bytes=5) for key, c in given.containers.items()}
    given = replace(given, containers=told)
    assert [c.writable_layer_bytes for c in bench.all(given).values()] == [5, 5]
    assert walk.wanted == bench.evidence.uppers
    # Nothing was measured, and nothing written: two answers.
    walk.known = {"/10": 0}
    assert [c.writable_layer_bytes for c in bench.all(given).values()] == [0, 5]
    # What has gone is not walked any more.
    bench.evidence.uppers = {}
    bench.all(given)
    assert walk.wanted == {}


def test_a_verdict_stands_until_the_evidence_is_another(bench: Bench) -> None:
    first = bench.all(inventory())
    assert bench.verdicts.take() == ["/10", "/20"]
    assert bench.all(inventory()) == first
    assert bench.verdicts.take() == []
    bench.evidence.outdated.add("/20")
    bench.all(inventory())
    assert bench.verdicts.take() == ["/20"]


def test_one_that_is_about_to_turn_is_judged_again_on_the_same_evidence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.all(inventory())
    bench.verdicts.take()
    monkeypatch.setattr(bench.verdicts, "is_turning", lambda key: key == "/10")
    bench.all(inventory())
    assert bench.verdicts.take() == ["/10"]


def test_between_two_inventories_those_are_judged_that_are_due(bench: Bench) -> None:
    judged = bench.all(inventory())
    bench.verdicts.take()
    bench.evidence.outdated = {"/20", "/gone since"}
    again = bench.judge.judge_due(inventory(), judged, HOST, NOW)
    assert bench.verdicts.take() == ["/20"]
    assert again == judged


def test_an_unforeseen_error_costs_one_verdict_and_is_logged_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.verdicts.impossible.add("/10")
    for _ in range(2):
        judged = bench.all(inventory())
        assert bench.judge.failed == 1
    assert judged["/10"].verdict == Verdict()
    assert judged["/20"].verdict != Verdict()
    assert len(caplog.records) == 1
    bench.verdicts.impossible.clear()
    assert bench.all(inventory())["/10"].verdict != Verdict()
    assert bench.judge.failed == 0


def test_what_does_not_run_keeps_its_last_verdict(bench: Bench) -> None:
    stopped = Container(
        id="/stopped", engine="docker", state=State.EXITED, verdict=Verdict(style=Style.SYSTEM)
    )
    judged = bench.all(inventory(stopped, running=()))["/stopped"]
    assert judged == replace(stopped, expected_style=Style.APP)
    assert bench.verdicts.take() == []


def test_what_never_ran_is_judged_by_what_its_engine_knows(bench: Bench) -> None:
    created = Container(id="/created", engine="docker", state=State.CREATED)
    assert bench.all(inventory(created, running=()))["/created"].verdict.unseen
    assert bench.verdicts.take() == ["/created"]


def test_what_is_gone_is_left_as_it_was(bench: Bench) -> None:
    gone = Container(id="/gone", engine="docker", gone=True)
    assert bench.all(inventory(gone, running=())) == {"/gone": gone}


def test_each_is_handed_on_as_soon_as_it_is_judged(bench: Bench) -> None:
    seen: list[str] = []
    bench.judge.judge_all(inventory(), HOST, NOW, lambda container: seen.append(container.id))
    assert seen == ["/10", "/20"]


def test_the_evidence_of_what_has_stopped_is_forgotten_and_not_due_for_ever(bench: Bench) -> None:
    bench.all(inventory())
    stopped = Container(id="/10", engine="docker", state=State.EXITED)
    bench.all(inventory(stopped, running=(20,)))
    assert bench.evidence.retained == {"/20"}


def test_of_those_that_could_not_be_judged_only_the_present_are_remembered(bench: Bench) -> None:
    bench.verdicts.impossible.add("/10")
    bench.judge.judge_all(inventory(), HOST, NOW)
    assert bench.judge._logged == {"/10"}
    bench.judge.judge_all(inventory(running=(20,)), HOST, NOW)
    assert bench.judge._logged == set()


def test_details_are_made_when_one_is_judged_and_end_with_it(bench: Bench) -> None:
    bench.all(inventory())
    first = bench.judge.details
    assert first.keys() == {"/10", "/20"}
    (entry,) = unpack(first["/10"]).processes
    assert (entry.pid, entry.program, entry.task) == (10, "redis-server", Task.SERVICE)
    assert entry.arguments is None
    bench.all(inventory())
    assert bench.judge.details is first, "nothing was read again"
    bench.all(inventory(running=(10,)))
    assert bench.judge.details.keys() == {"/10"}
