"""systemd-nspawn under machined, where systemd runs; ``machinectl`` says what is true."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.harness import roots
from tests.engines.harness.programs import CommandError, Daemon, run, wait_until
from tests.soak.oracle.drivers import kernel
from tests.soak.oracle.facts import (
    ALIVE,
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

_IMAGES = Path("/var/lib/machines")
_SETTINGS = Path("/etc/systemd/nspawn")
_SLEEP = ("/bin/sleep", "86400")
_SERVICE = f"""[Exec]
Boot=no
Parameters={" ".join(_SLEEP)}
PrivateUsers=no
[Network]
VirtualEthernet=no
"""
_UNIT = ("Type=notify", "Delegate=yes", "KillMode=mixed", "MemoryMax=96M", "Slice=machine.slice")
"""Properties of a service as an administrator writes one, and a limit."""


class MachinedDriver(Driver):
    """Machines: what stays, set up below /var/lib/machines, and what ends with its process."""

    engine = "nspawn"
    name = "machined"

    def __init__(self, place: Path) -> None:
        self._place = place
        self._set_up: set[str] = set()
        self._units: dict[str, str] = {}
        """The unit of each that has run, by name."""

    @property
    def ways(self) -> Mapping[str, Way]:
        return {
            "set up": Way(make=self._set_up_one, to=EXITED, weight=1),
            "started": Way(make=self._set_up_and_start, via=frozenset({EXITED})),
            "in a scope": Way(make=self._in_a_scope, via=frozenset()),
            "in a unit": Way(make=self._in_a_unit, via=frozenset()),
        }

    @property
    def actions(self) -> Mapping[str, Action]:
        running, stays = frozenset({RUNNING}), frozenset({"set up", "started"})
        return {
            "start": Action(do=self._start, of=frozenset({EXITED}), to=RUNNING, weight=4),
            "terminate": Action(do=self._end("terminate"), of=running, to=EXITED, only=stays),
            "kill": Action(
                do=self._end("kill", "--signal=KILL"), of=running, to=EXITED, only=stays
            ),
            "freeze": Action(do=self._tell_unit("freeze"), of=running, to=PAUSED),
            "thaw": Action(
                do=self._tell_unit("thaw"), of=frozenset({PAUSED}), to=RUNNING, weight=6
            ),
            "update": Action(do=self._update, of=ALIVE, weight=3),
            "remove": Action(
                do=self._remove,
                of=frozenset({RUNNING, EXITED}),
                removes=True,
                via=frozenset({EXITED}),
            ),
        }

    def truths(self) -> Mapping[str, Truth]:
        found = {
            name: Truth(name=name, state=EXITED, values=kernel.limits(None))
            for name in self._set_up
        }
        if not (names := self._registered()):
            return found
        leaders = _shown("machinectl", names, "Name", "Leader")
        units = {self._units[name]: name for name in names}
        freezers = _shown("systemctl", list(units), "Id", "FreezerState")
        for unit, name in units.items():
            state = PAUSED if freezers[unit] == "frozen" else RUNNING
            values = kernel.limits(int(leaders[name]))
            found[name] = Truth(name=name, state=state, values=values)
        return found

    def close(self) -> None:
        """Remove what is left."""
        for name in self._registered():
            with suppress(CommandError):
                self._tell_unit("thaw")(name, None)
        for name in {*self._set_up, *self._units}:
            with suppress(CommandError):
                self._remove(name)

    def _registered(self) -> list[str]:
        lines = run("machinectl", "list", "--no-legend", "--no-pager").splitlines()
        names = {line.split()[0] for line in lines if line.strip()}
        return sorted(names & (self._set_up | self._units.keys()))

    def _set_up_one(self, name: str, _: object) -> None:
        roots.make_busybox(_IMAGES / name)
        _SETTINGS.mkdir(parents=True, exist_ok=True)
        (_SETTINGS / f"{name}.nspawn").write_text(_SERVICE)
        self._set_up.add(name)

    def _set_up_and_start(self, name: str, dice: Random) -> None:
        self._set_up_one(name, dice)
        self._start(name, dice)

    def _start(self, name: str, _: Random) -> None:
        run("machinectl", "start", name)
        self._note_unit(name)

    def _in_a_scope(self, name: str, _: Random) -> None:
        root = roots.make_busybox(self._place / name)
        words = ("systemd-nspawn", f"--machine={name}", f"--directory={root}", "--console=pipe")
        Daemon(*words, *_SLEEP, log=self._place / f"{name}.log")
        self._note_unit(name)

    def _in_a_unit(self, name: str, _: Random) -> None:
        root = roots.make_busybox(self._place / name)
        words = ("systemd-run", f"--unit={name}", "--collect", *map("--property={}".format, _UNIT))
        nspawn = ("systemd-nspawn", "--keep-unit", f"--machine={name}", f"--directory={root}")
        run(*words, *nspawn, "--console=pipe", *_SLEEP)
        self._note_unit(name)

    def _note_unit(self, name: str) -> None:
        def unit() -> str:
            with suppress(CommandError):
                return _shown("machinectl", [name], "Name", "Unit")[name]
            return ""

        self._units[name] = wait_until(unit, f"{name} to be registered", 90)

    def _end(self, *words: str) -> Callable[[str, Random | None], None]:
        def end(name: str, _: Random | None) -> None:
            run("machinectl", *words, name)
            unit = self._units[name]
            wait_until(
                lambda: (
                    name not in self._registered()
                    and _shown("systemctl", [unit], "Id", "ActiveState")[unit]
                    in ("inactive", "failed")
                ),
                f"{name} to end",
                90,
            )

        return end

    def _tell_unit(self, *words: str) -> Callable[[str, Random | None], None]:
        def do(name: str, _: Random | None) -> None:
            run("systemctl", *words, self._units[name])

        return do

    def _update(self, name: str, dice: Random) -> None:
        memory = dice.choice((32, 40, 48, 64))
        percent = dice.choice((25, 50, 100))
        tasks = dice.choice((50, 99, 500))
        limits = (f"MemoryMax={memory}M", f"CPUQuota={percent}%", f"TasksMax={tasks}")
        run("systemctl", "set-property", "--runtime", self._units[name], *limits)

    def _remove(self, name: str, _: object = None) -> None:
        if name in self._registered():
            self._end("terminate")(name, None)
        self._units.pop(name, None)
        if name in self._set_up:
            (_SETTINGS / f"{name}.nspawn").unlink(missing_ok=True)
            shutil.rmtree(_IMAGES / name)
            self._set_up.discard(name)
        else:
            shutil.rmtree(self._place / name, ignore_errors=True)


def _shown(program: str, names: list[str], key: str, value: str) -> dict[str, str]:
    """Return one property of units or machines, by another that names each."""
    words = (f"--property={key}", f"--property={value}")
    blocks = run(program, "show", *words, "--", *names).strip().split("\n\n")
    fields = (dict(line.split("=", 1) for line in block.splitlines()) for block in blocks)
    return {one[key]: one[value] for one in fields}
