"""One run: engines, agents, the machine, and the comparison after each step."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from queue import Empty
from subprocess import SubprocessError
from typing import TYPE_CHECKING

from tests.engines.harness.agent import TALLYMAN, running_agent
from tests.engines.harness.programs import MARK, CommandError
from tests.soak.oracle.engines import ENGINES
from tests.soak.oracle.judge import WITH_API, WITHOUT_API, Judge, Limits
from tests.soak.oracle.latency import Latencies, table
from tests.soak.oracle.machine import Machine
from tests.soak.oracle.stalls import Stalls
from tests.soak.oracle.timeline import Timeline
from tests.soak.oracle.watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.engines.harness.agent import Agent
    from tests.soak.oracle.facts import Driver
    from tests.soak.oracle.machine import Step
    from tests.soak.oracle.watch import Look

_SOCKETLESS = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    "--inh-caps=+sys_ptrace,+dac_read_search",
    "--ambient-caps=+sys_ptrace,+dac_read_search",
)
"""As the systemd unit starts it: no engine's socket can be written to."""
_MARK = f"{MARK}oracle"


@dataclass(slots=True)
class Outcome:
    """What a run found."""

    seed: int
    steps: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    """What an engine did not do; it says nothing of the agent."""
    logs: dict[str, str] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    latencies: dict[str, Latencies] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)

    def table(self) -> str:
        """Return how long it took until changes were shown."""
        return table(self.latencies[WITH_API], self.latencies[WITHOUT_API])

    def report(self) -> str:
        """Return the seed, the steps and what was false after which."""
        number = f"{len(self.differences)} differences:"
        return "\n".join([f"seed {self.seed}", *self.steps, number, *self.differences])


class Run:
    """Does step after step, asks the engines, and judges what was shown meanwhile."""

    def __init__(
        self,
        *,
        drivers: dict[str, Driver],
        watcher: Watcher,
        stalls: Stalls,
        judge: Judge,
        outcome: Outcome,
        pause: float,
        say: Callable[[str], None],
    ) -> None:
        self._drivers = drivers
        self._watcher = watcher
        self._stalls = stalls
        self._judge = judge
        self._outcome = outcome
        self._breath = max(0.2, pause / 5)
        """Seconds between two questions to an engine while nothing is done."""
        self._say = say
        self._looks: deque[Look] = deque()
        self._begin = time.monotonic()
        self._until = 0.0
        """What was shown before this moment can be judged."""

    def go(self, steps: Iterator[Step], end: Callable[[int], bool]) -> None:
        """Carry out steps until the end; the machine that chose them is asked for no more."""
        for driver in self._drivers.values():
            self._ask(driver, begin=None, done=time.monotonic())
        for step in steps:
            self._carry_out(step)
            self._settle(step.wait)
            if end(step.number):
                break

    def is_mine(self, text: str) -> bool:
        """Return whether a text is about one of the containers, or about all."""
        lives = self._judge.timeline.lives
        return MARK in text or "'id'" not in text or any(key in text for key in lives)

    def finish(self, seconds: float) -> None:
        """Go on judging for some time, with nothing done."""
        self._settle(seconds)

    def _carry_out(self, step: Step) -> None:
        driver, subject = self._drivers[step.engine], step.subject
        via: frozenset[str] = frozenset()
        begin = time.monotonic()
        text = f"{begin - self._begin:7.1f} {step}"
        old = subject.name
        try:
            if step.makes:
                via = driver.ways[step.action].via
                driver.ways[step.action].make(subject.name, step.dice)
            else:
                action = driver.actions[step.action]
                via = action.via
                subject.name = action.do(subject.name, step.dice) or subject.name
        except (CommandError, SubprocessError, AssertionError, OSError) as error:
            self._outcome.refusals.append(f"{text}: {error}")
            text += f" - refused: {str(error)[-300:]}"
        done = time.monotonic()
        self._note(f"{text} ({done - begin:.1f} s)")
        self._ask(driver, begin=begin, done=done, via=via, of=frozenset({old, subject.name}))

    def _settle(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            for driver in self._drivers.values():
                if driver.moves:
                    self._ask(driver, begin=None, done=None)
            self._judge_looks()
            if time.monotonic() >= end:
                return
            time.sleep(self._breath)

    def _ask(
        self,
        driver: Driver,
        *,
        begin: float | None,
        done: float | None,
        via: frozenset[str] = frozenset(),
        of: frozenset[str] = frozenset(),
    ) -> None:
        asked = time.monotonic()
        truths = driver.truths()
        now = time.monotonic()
        self._stalls.took(driver.name, now - asked)
        changes = self._judge.timeline.observe(
            driver,
            truths,
            begin=None if driver.moves else begin,
            done=asked if done is None else done,
            now=now,
            via=via,
            of=of,
        )
        self._until = asked
        for latencies in self._outcome.latencies.values():
            latencies.expect(changes)

    def _judge_looks(self) -> None:
        while True:
            try:
                self._looks.append(self._watcher.looks.get_nowait())
            except Empty:
                break
        while self._looks and self._looks[0].end <= self._until:
            look = self._looks.popleft()
            for text in self._judge.judge(look):
                read = f"{look.begin - self._begin:.1f} to {look.end - self._begin:.1f}"
                self._note(f"        FALSE {read} {text}")
                self._outcome.differences.append(f"{read} {text}")
            if look.where in self._outcome.latencies:
                self._outcome.latencies[look.where].see(look)

    def _note(self, text: str) -> None:
        self._outcome.steps.append(text)
        self._say(text)


def run(
    seed: int,
    engines: Sequence[str],
    end: Callable[[int], bool],
    *,
    limits: Limits | None = None,
    most: int = 10,
    pause: float = 0.25,
    say: Callable[[str], None] = lambda _: None,
    command: tuple[str, ...] = (str(TALLYMAN),),
) -> Outcome:
    """Run one seed until ``end`` returns true for the number of a step."""
    limits = limits or Limits()
    outcome = Outcome(seed)
    with ExitStack() as stack:
        drivers = {name: stack.enter_context(ENGINES[name]()) for name in engines}
        flags = tuple(flag for driver in drivers.values() for flag in driver.flags)
        agents = {
            where: stack.enter_context(_agent(flags, (*words, *command), limits))
            for where, words in ((WITH_API, ()), (WITHOUT_API, _SOCKETLESS))
        }
        outcome.latencies = {where: Latencies() for where in agents}
        watcher = Watcher(agents, flags, pause)
        stalls = Stalls(lambda: [agent.pid for agent in agents.values()])
        belongings = watcher.processes.text
        judge = Judge(Timeline(), limits, stalls.before, belongings, MARK)
        one = Run(
            drivers=drivers,
            watcher=watcher,
            stalls=stalls,
            judge=judge,
            outcome=outcome,
            pause=pause,
            say=say,
        )
        machine = Machine(seed, drivers, _MARK, most)
        with stalls.measuring(), watcher.watching():
            one.go(machine.steps(), end)
            one.finish(limits.value + limits.retention)
        outcome.differences += watcher.failed
        for where, agent in agents.items():
            fell = (text for text in agent.counters.fallen() if one.is_mine(text))
            outcome.differences += [f"{where}: {text}" for text in fell]
            agent.counters.forget()
            outcome.logs[where] = agent.daemon.output()
        outcome.looks = dict(watcher.counts)
        outcome.lost = stalls.by_kind(0, time.monotonic())
    return outcome


@contextmanager
def _agent(flags: tuple[str, ...], command: tuple[str, ...], limits: Limits) -> Iterator[Agent]:
    retention = f"--containers.retention={limits.retention:g}s"
    flags = (*flags, retention, "--collector.spec_detail")
    with running_agent(*flags, command=command) as agent:
        agent.wait_ready()
        yield agent
