"""LXC in an lxcpath of our own; ``lxc-info`` says what is true."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tests.engines.harness import systems
from tests.engines.harness.programs import CommandError, hierarchies, remove_cgroups, run
from tests.soak.oracle.drivers import kernel
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
    from pathlib import Path
    from random import Random

_STATES = {"STOPPED": EXITED, "RUNNING": RUNNING, "FROZEN": PAUSED}
"""One that was never started has ended, to LXC."""


class LxcDriver(Driver):
    """Containers below one lxcpath."""

    engine = "lxc"
    name = "lxc"

    def __init__(self, place: Path) -> None:
        self._place = place
        self.flags = (f"--collector.lxc.path={place}",)
        self._names: set[str] = set()

    @property
    def ways(self) -> Mapping[str, Way]:
        return {
            "plain": Way(make=self._make_and_start, via=frozenset({EXITED})),
            "stopped": Way(make=self._make, to=EXITED, weight=1),
        }

    @property
    def actions(self) -> Mapping[str, Action]:
        running = frozenset({RUNNING})
        return {
            "start": Action(do=self._do("lxc-start"), of=frozenset({EXITED}), to=RUNNING, weight=4),
            "freeze": Action(do=self._do("lxc-freeze"), of=running, to=PAUSED),
            "unfreeze": Action(
                do=self._do("lxc-unfreeze"), of=frozenset({PAUSED}), to=RUNNING, weight=6
            ),
            "stop": Action(do=self._do("lxc-stop", "--kill"), of=running, to=EXITED),
            "update": Action(do=self._update, of=ALIVE, weight=3),
            "remove": Action(
                do=self._remove, of=ANY_STATE - {PAUSED}, removes=True, via=frozenset({EXITED})
            ),
        }

    def truths(self) -> Mapping[str, Truth]:
        found = {}
        for name in self._names:
            where = self._where(name)
            state = _STATES[run("lxc-info", *where, "--state", "--no-humanize").strip()]
            pid = None
            if state in ALIVE:
                pid = int(run("lxc-info", *where, "--pid", "--no-humanize"))
            found[name] = Truth(name=name, state=state, values=kernel.limits(pid))
        return found

    def close(self) -> None:
        """Remove what is left."""
        for name in list(self._names):
            with suppress(CommandError):
                self._remove(name)

    def _where(self, name: str) -> tuple[str, str]:
        return f"--lxcpath={self._place}", f"--name={name}"

    def _do(self, program: str, *flags: str) -> Callable[[str, Random], None]:
        def do(name: str, _: Random) -> None:
            run(program, *self._where(name), *flags)

        return do

    def _make(self, name: str, _: Random) -> None:
        lines = systems.lxc_config(name, self._place, "/bin/sleep", "86400")
        (self._place / name / "config").write_text("\n".join([*lines, ""]))
        self._names.add(name)

    def _make_and_start(self, name: str, dice: Random) -> None:
        self._make(name, dice)
        run("lxc-start", *self._where(name))

    def _update(self, name: str, dice: Random) -> None:
        memory = dice.choice((32, 40, 48, 64)) << 20
        file = "memory.max" if len(hierarchies()) == 1 else "memory.limit_in_bytes"
        run("lxc-cgroup", *self._where(name), file, str(memory))

    def _remove(self, name: str, _: object = None) -> None:
        run("lxc-destroy", *self._where(name), "--force")
        self._names.discard(name)
        remove_cgroups(f"lxc.payload.{name}", f"lxc.monitor.{name}")
