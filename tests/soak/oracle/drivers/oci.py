"""OCI runtimes without an engine, runc and crun; their own ``list`` says what is true."""

from __future__ import annotations

import json
import shutil
from abc import abstractmethod
from typing import TYPE_CHECKING

from tests.engines.harness import oci, roots
from tests.engines.harness.programs import SYSTEMD, remove_cgroups, run, wait_until
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
    from pathlib import Path
    from random import Random

_STATES = {"created": CREATED, "running": RUNNING, "paused": PAUSED, "stopped": EXITED}


class OciDriver(Driver):
    """Containers of one runtime, with their state where it keeps it."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._root = roots.make_busybox(place / "root")
        self._names: set[str] = set()

    @property
    def ways(self) -> Mapping[str, Way]:
        ways = {
            "plain": Way(make=lambda name, _: self._make(name)),
            "created": Way(
                make=lambda name, _: self._make(name, create=True), to=CREATED, weight=1
            ),
        }
        if SYSTEMD:
            ways["scope"] = Way(make=lambda name, _: self._make(name, by_systemd=True))
        return ways

    @property
    def actions(self) -> Mapping[str, Action]:
        running = frozenset({RUNNING})
        return {
            "start": Action(do=self._do("start"), of=frozenset({CREATED}), to=RUNNING, weight=6),
            "pause": Action(do=self._do("pause"), of=running, to=PAUSED),
            "resume": Action(do=self._do("resume"), of=frozenset({PAUSED}), to=RUNNING, weight=6),
            "update": Action(do=self._update, of=ALIVE, weight=3),
            "kill": Action(do=self._kill, of=running, to=EXITED),
            # A paused one is thawed to be killed.
            "remove": Action(
                do=self.remove, of=ANY_STATE, removes=True, via=frozenset({RUNNING, EXITED})
            ),
        }

    def truths(self) -> Mapping[str, Truth]:
        found = json.loads(self._run("list", "--format=json")) or []
        return {
            one["id"]: Truth(
                name=one["id"],
                state=(state := _STATES[one["status"]]),
                values={
                    **kernel.limits(one["pid"] if state in ALIVE else None),
                    "exit code": None,
                    "health": None,
                },
            )
            for one in found
            if one["id"] in self._names
        }

    @property
    @abstractmethod
    def program(self) -> tuple[str, ...]:
        """Return the command that starts the runtime."""

    def _run(self, *words: str) -> str:
        return run(*self.program, *words)

    def _do(self, *words: str) -> Callable[[str, Random], None]:
        def do(name: str, _: Random) -> None:
            self._run(*words, name)

        return do

    def _make(self, name: str, *, create: bool = False, by_systemd: bool = False) -> None:
        place = self._place / name
        place.mkdir()
        cgroup = f"system.slice:{self.name}:{name}" if by_systemd else f"/{name}"
        bundle = oci.make_bundle(place, "sleep", "86400", cgroup=cgroup, root=self._root)
        self._names.add(name)
        flags = ("--systemd-cgroup",) if by_systemd else ()
        oci.run_detached(bundle, name, (*self.program, *flags), create=create)

    def _update(self, name: str, dice: Random) -> None:
        memory = dice.choice((32, 40, 48, 64)) << 20
        quota = dice.choice((25_000, 50_000, 100_000))
        pids = dice.choice((50, 99, 500))
        words = (f"--memory={memory}", f"--cpu-quota={quota}", "--cpu-period=100000")
        self._run("update", *words, f"--pids-limit={pids}", name)

    def _kill(self, name: str, _: Random) -> None:
        self._run("kill", name, "KILL")
        wait_until(
            lambda: json.loads(self._run("state", name))["status"] == "stopped",
            f"{name} to be stopped",
        )

    def remove(self, name: str, _: object = None) -> None:
        """Remove a container with its bundle."""
        self._run("delete", "--force", name)
        self._names.discard(name)
        shutil.rmtree(self._place / name)

    def close(self) -> None:
        """Remove what is left."""
        for name in list(self._names):
            self.remove(name)
            remove_cgroups(name)


class RuncDriver(OciDriver):
    """Containers that runc alone has made."""

    engine = "runc"
    name = "runc"
    program = ("runc",)


class CrunDriver(OciDriver):
    """Containers that crun alone has made."""

    engine = "crun"
    name = "crun"
    program = oci.CRUN
