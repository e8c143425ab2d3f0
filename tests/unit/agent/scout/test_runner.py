from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

import pytest

from agent.scout.runner import Runner
from collectors.contract import CollectorError, Context, Options, PartlySeen
from collectors.facts import HostFacts, ProcessTable, Sighting
from collectors.hostfs import HostFS
from tests.support.processes import sighting

PATIENCE = 60.0


class Fake:
    """A collector that does what the test says."""

    def __init__(self, name: str, answer: Callable[[], Iterable[Sighting]]) -> None:
        self.name = name
        self.answer = answer
        self.asked = 0

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        assert ctx.host.tally is not None
        self.asked += 1
        return self.answer()

    def close(self) -> None:
        pass


def context(host: HostFS) -> Context:
    return Context(
        host=host,
        facts=HostFacts(),
        processes=ProcessTable(by_pid={}),
        options=Options(),
        now=1.0,
    )


@pytest.fixture
def make() -> Iterator[Callable[..., Runner]]:
    made: list[Runner] = []

    def runner(*fakes: Fake) -> Runner:
        made.append(Runner(fakes, HostFS()))
        return made[-1]

    yield runner
    for each in made:
        each.close()


def broken() -> Iterable[Sighting]:
    raise CollectorError("the engine answered 500")


def surprised() -> Iterable[Sighting]:
    raise KeyError("unforeseen")


def test_one_that_fails_empties_no_other(make: Callable[..., Runner]) -> None:
    runner = make(Fake("good", lambda: [sighting()]), Fake("bad", broken), Fake("odd", surprised))
    runner.run(context, PATIENCE)
    assert [s.name for s in runner.sightings()] == ["web"]
    health = {h.name: h for h in runner.health()}
    assert health["good"].success
    assert (health["bad"].success, health["bad"].error) == (False, "the engine answered 500")
    assert not health["odd"].success
    assert "unforeseen" in health["odd"].error


def test_the_last_answer_stands_while_a_collector_fails(make: Callable[..., Runner]) -> None:
    def answers() -> Iterator[Iterable[Sighting]]:
        yield [sighting()]
        yield broken()

    replies = answers()
    runner = make(Fake("engine", lambda: next(replies)))
    runner.run(context, PATIENCE)
    runner.run(context, PATIENCE)
    assert len(runner.sightings()) == 1
    (health,) = runner.health()
    assert not health.success
    assert health.last_success is not None


def test_what_was_seen_beside_a_dead_engine_is_news(make: Callable[..., Runner]) -> None:
    def partly() -> Iterable[Sighting]:
        raise PartlySeen("one of two does not answer", (sighting(name="other"),))

    runner = make(Fake("engine", partly))
    runner.run(context, PATIENCE)
    assert [s.name for s in runner.sightings()] == ["other"]
    (health,) = runner.health()
    assert (health.success, health.error) == (False, "one of two does not answer")


def test_each_answer_says_anew_which_daemons_run(
    make: Callable[..., Runner],
) -> None:
    class Engine(Fake):
        def collect(self, ctx: Context) -> Iterable[Sighting]:
            ctx.daemons["docker", "/d"] = self.asked == 0
            return super().collect(ctx)

    def answers() -> Iterator[Iterable[Sighting]]:
        yield [sighting()]
        yield [sighting()]
        yield broken()

    replies = answers()
    runner = make(Engine("docker", lambda: next(replies)))
    told = []
    for _ in range(3):
        runner.run(context, PATIENCE)
        (health,) = runner.health()
        told.append(health.daemons)
    key = ("docker", "/d")
    assert told == [{key: True}, {key: False}, {key: False}]


def come_back(runner: Runner, name: str) -> None:
    """Wait until a collector has come back."""
    (slot,) = (slot for slot in runner._slots if slot.collector.name == name)
    with runner._done:
        assert runner._done.wait_for(lambda: slot.busy_since is None, PATIENCE)


def test_one_that_hangs_costs_its_own_answer_only(make: Callable[..., Runner]) -> None:
    release = threading.Event()

    def hang() -> Iterable[Sighting]:
        release.wait()
        return [sighting(name="late")]

    slow = Fake("slow", hang)
    runner = make(slow, Fake("good", lambda: [sighting()]))
    runner.run(context, 0.05)
    come_back(runner, "good")  # on a busy machine it may have been late as well
    assert [s.name for s in runner.sightings()] == ["web"]
    assert {h.name for h in runner.health() if not h.success} == {"slow"}
    runner.run(context, PATIENCE)
    assert slow.asked == 1, "it is not asked again while it is away"
    assert runner.hung(0.0) == "slow"
    release.set()
    come_back(runner, "slow")
    assert runner.hung(0.0) == ""
    assert sorted(s.name for s in runner.sightings()) == ["late", "web"]
