"""A containerd of our own, without Docker; ``ctr`` says what is true."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tests.engines.harness.programs import CommandError, run, wait_until
from tests.soak.oracle.drivers import kernel
from tests.soak.oracle.facts import (
    ALIVE,
    ANY_STATE,
    CREATED,
    EXITED,
    PAUSED,
    RUNNING,
    Action,
    Driver,
    Truth,
    Way,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tests.engines.harness.oci import Containerd

_STATES = {"CREATED": CREATED, "RUNNING": RUNNING, "PAUSED": PAUSED, "STOPPED": EXITED}
_SLEEP = ("/bin/sleep", "86400")


class ContainerdDriver(Driver):
    """Containers of one containerd."""

    engine = "containerd"
    name = "containerd"
    forgets = True

    def __init__(self, containerd: Containerd) -> None:
        self._containerd = containerd
        self._waiting: set[str] = set()
        """Those that were never started."""

    @property
    def ways(self) -> Mapping[str, Way]:
        return {
            "plain": Way(make=lambda name, _: self._make(name)),
            "limited": Way(make=lambda name, _: self._make(name, f"--memory-limit={32 << 20}")),
            "created": Way(make=self._create, to=CREATED, weight=1),
        }

    @property
    def actions(self) -> Mapping[str, Action]:
        running = frozenset({RUNNING})
        return {
            "start": Action(do=self._start, of=frozenset({CREATED, EXITED}), to=RUNNING, weight=4),
            "pause": Action(do=self._do("pause"), of=running, to=PAUSED),
            "resume": Action(do=self._do("resume"), of=frozenset({PAUSED}), to=RUNNING, weight=6),
            "kill": Action(do=self._kill, of=running, to=EXITED),
            # Its task goes first.
            "remove": Action(
                do=self._remove,
                of=ANY_STATE - {PAUSED},
                removes=True,
                via=frozenset({EXITED, CREATED}),
            ),
        }

    def truths(self) -> Mapping[str, Truth]:
        ctr = self._containerd.ctr
        lines = run(*ctr, "task", "list").splitlines()[1:]
        tasks = {name: (int(pid), _STATES[status]) for name, pid, status in map(str.split, lines)}
        found = {}
        for name in run(*ctr, "container", "list", "--quiet").split():
            # A task may be deleted, and its container keeps no note of it.
            pid, state = tasks.get(name, (0, CREATED if name in self._waiting else EXITED))
            limits = kernel.limits(pid if state in ALIVE else None)
            found[name] = Truth(name=name, state=state, values=limits)
        return found

    def _do(self, *words: str) -> Callable[[str, Random], None]:
        def do(name: str, _: Random) -> None:
            run(*self._containerd.ctr, "task", *words, name)

        return do

    def _make(self, name: str, *flags: str) -> None:
        self._waiting.add(name)  # and so it is if its task cannot be started
        run(*self._containerd.command(name, "--detach", *flags), *_SLEEP)
        self._waiting.discard(name)

    def _create(self, name: str, _: Random) -> None:
        self._waiting.add(name)
        run(*self._containerd.command(name, action=("container", "create")), *_SLEEP)

    def _start(self, name: str, _: Random) -> None:
        with suppress(CommandError):  # the one that has ended
            run(*self._containerd.ctr, "task", "delete", name)
        run(*self._containerd.ctr, "task", "start", "--detach", name)
        self._waiting.discard(name)

    def _kill(self, name: str, _: Random) -> None:
        run(*self._containerd.ctr, "task", "kill", "--signal=SIGKILL", name)
        wait_until(lambda: self.truths()[name].state == EXITED, f"{name} to end")

    def _remove(self, name: str, _: Random) -> None:
        with suppress(CommandError):
            run(*self._containerd.ctr, "task", "delete", "--force", name)
        run(*self._containerd.ctr, "container", "delete", name)
