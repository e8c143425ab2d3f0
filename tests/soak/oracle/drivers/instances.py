"""Instances of a private LXD or Incus; the ``list`` of its client says what is true."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.soak.oracle.drivers import kernel
from tests.soak.oracle.drivers.docker import renamed
from tests.soak.oracle.facts import (
    ALIVE,
    ANY_STATE,
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

    from tests.engines.harness.managers import Manager

_STATES = {"Stopped": EXITED, "Running": RUNNING, "Frozen": PAUSED}
"""One that was never started is stopped, to both."""
_PRIVILEGED = "--config=security.privileged=true"


class InstancesDriver(Driver):
    """Containers of one daemon, each under the name that it has at the moment.

    Neither tells a renamed container from another one, nor does the agent.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self.engine = self.name = manager.engine
        self._names: set[str] = set()

    @property
    def ways(self) -> Mapping[str, Way]:
        return {
            "launched": Way(make=self._launch, via=frozenset({EXITED})),
            "stopped": Way(make=self._init, to=EXITED, weight=1),
        }

    @property
    def actions(self) -> Mapping[str, Action]:
        running, exited = frozenset({RUNNING}), frozenset({EXITED})
        return {
            "start": Action(do=self._do("start"), of=exited, to=RUNNING, weight=4),
            "pause": Action(do=self._do("pause"), of=running, to=PAUSED),
            "resume": Action(do=self._do("start"), of=frozenset({PAUSED}), to=RUNNING, weight=6),
            # It may not fork from the moment on at which it is to be stopped: pids.max is 0.
            "stop": Action(do=self._do("stop", "--force"), of=running, to=EXITED, via=exited),
            "restart": Action(
                do=self._do("restart", "--force"), of=running, to=RUNNING, via=exited
            ),
            "update": Action(do=self._update, of=ALIVE, weight=3),
            "rename": Action(do=self._rename, of=exited, weight=1),
            "remove": Action(do=self._remove, of=ANY_STATE - {PAUSED}, removes=True, via=exited),
        }

    def truths(self) -> Mapping[str, Truth]:
        found = {}
        for one in json.loads(self._manager.cli("list", "--format=json")):
            state = _STATES[one["status"]]
            values = kernel.limits(one["state"]["pid"] if state in ALIVE else None)
            found[one["name"]] = Truth(name=one["name"], state=state, values=values)
        return found

    def close(self) -> None:
        """Remove what is left."""
        self._manager.remove(*self._names)

    def _do(self, *words: str) -> Callable[[str, Random], None]:
        def do(name: str, _: Random) -> None:
            self._manager.cli(*words, name)

        return do

    def _init(self, name: str, _: Random) -> None:
        self._names.add(name)
        self._manager.cli("init", self._manager.image, name, _PRIVILEGED)

    def _launch(self, name: str, _: Random) -> None:
        self._names.add(name)
        self._manager.cli("launch", self._manager.image, name, _PRIVILEGED)

    def _update(self, name: str, dice: Random) -> None:
        memory = dice.choice((32, 40, 48, 64))
        cpus = dice.choice((25, 50, 100))
        limits = (f"limits.memory={memory}MiB", f"limits.cpu.allowance={cpus}ms/100ms")
        processes = dice.choice((50, 99, 500))
        self._manager.cli("config", "set", name, *limits, f"limits.processes={processes}")

    def _rename(self, name: str, _: Random) -> str:
        other = renamed(name)
        self._manager.cli("rename", name, other)
        self._names.add(other)
        return other

    def _remove(self, name: str, _: Random) -> None:
        self._manager.remove(name)
        self._names.discard(name)
