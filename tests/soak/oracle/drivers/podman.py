"""Root's podman with its default storage; ``podman inspect`` says what is true.

Its limits are read from the kernel: ``podman update`` changes the cgroup, and ``podman inspect``
shows what the container was made with (until podman 5).
"""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.engines.harness.programs import SYSTEMD, CommandError
from tests.soak.oracle.drivers import kernel
from tests.soak.oracle.drivers.docker import renamed
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
    from typing import Any

    from tests.engines.harness.podman import Podman
    from tests.soak.oracle.facts import Value

_STATES = {"configured": CREATED, "stopped": EXITED, "stopping": RUNNING, "initialized": CREATED}
_UNIT = ("Type=notify", "NotifyAccess=all", "Delegate=yes", "KillMode=mixed", "MemoryMax=96M")
"""Properties of a service as Quadlet generates it, and a limit."""
_CHECK = (
    "--health-cmd=test ! -e /sick",
    "--health-interval=disable",
    "--health-retries=1",
)


class PodmanDriver(Driver):
    """Containers of root's podman."""

    engine = "podman"
    name = "podman"

    def __init__(self, podman: Podman) -> None:
        self._podman = podman
        self._names: set[str] = set()
        self._kills: dict[str, int] = {}

    @property
    def ways(self) -> Mapping[str, Way]:
        ways = {
            "plain": Way(make=lambda name, _: self._make("run", name)),
            "limited": Way(make=lambda name, _: self._make("run", name, "--memory=32m")),
            "checked": Way(make=lambda name, _: self._make("run", name, *_CHECK)),
            "created": Way(make=lambda name, _: self._make("create", name), to=CREATED, weight=1),
        }
        if SYSTEMD:
            ways["unit"] = Way(make=self._make_unit)
        return ways

    @property
    def actions(self) -> Mapping[str, Action]:
        running, known = frozenset({RUNNING}), frozenset(self.ways)
        return {
            "pause": Action(do=self._do("pause"), of=running, to=PAUSED),
            "unpause": Action(do=self._do("unpause"), of=frozenset({PAUSED}), to=RUNNING, weight=6),
            "stop": Action(do=self._do("stop", "--time=5"), of=running, to=EXITED),
            "kill": Action(do=self._kill, of=running, to=EXITED),
            "start": Action(
                do=self._do("start"),
                of=frozenset({CREATED, EXITED}),
                to=RUNNING,
                via=frozenset({CREATED}),  # podman's own word for it is "initialized"
                only=known - {"unit"},
                weight=4,
            ),
            "restart": Action(
                do=self._do("restart", "--time=5"),
                of=running,
                to=RUNNING,
                via=frozenset({EXITED, CREATED}),
                only=known - {"unit"},
            ),
            "rename": Action(do=self._rename, of=ANY_STATE),
            "update": Action(do=self._update, of=running, weight=3),
            "sicken": Action(do=self._sicken, of=running, only=frozenset({"checked"}), weight=4),
            "oom": Action(do=self._oom, of=running, only=frozenset({"limited"}), weight=4),
            "remove": Action(
                do=self._remove,
                of=ANY_STATE,
                removes=True,
                # A paused one is thawed to be killed.
                via=frozenset({RUNNING, EXITED, "removing"}),
            ),
        }

    def truths(self) -> Mapping[str, Truth]:
        if not self._names:
            return {}
        words = ("inspect", "--type=container", *sorted(self._names))
        return {one["Id"]: self._truth(one) for one in json.loads(self._podman.cli(*words))}

    def _truth(self, told: dict[str, Any]) -> Truth:
        state = told["State"]
        status = _STATES.get(state["Status"], state["Status"])
        alive = status in ALIVE
        health = (state.get("Healthcheck") or state.get("Health") or {}).get("Status")
        values: dict[str, Value] = {
            **kernel.limits(state["Pid"] if alive else None),
            "exit code": state["ExitCode"] if status == EXITED else None,
            "health": (health or None) if alive else None,
            "OOM kills": self._kills.get(told["Id"], 0),
        }
        return Truth(name=told["Name"], state=status, values=values)

    def _do(self, *words: str) -> Callable[[str, Random], None]:
        def do(name: str, _: Random) -> None:
            self._podman.cli(*words, name)

        return do

    def _make(self, verb: str, name: str, *options: str, below: tuple[str, ...] = ()) -> None:
        script = "trap 'exit 7' TERM; sleep 86400 & wait $!"
        try:
            self._podman.make(verb, name, *options, command=("sh", "-c", script), below=below)
        finally:
            with suppress(CommandError):  # it may have been created, and not started
                self._podman.cli("container", "exists", name)
                self._names.add(name)

    def _make_unit(self, name: str, _: Random) -> None:
        """As Quadlet does it: the unit's cgroup is split between conmon and the container."""
        unit = (f"--unit={name}", "--collect", *map("--property={}".format, _UNIT))
        self._make(
            "run", name, "--cgroups=split", "--sdnotify=conmon", below=("systemd-run", *unit)
        )

    def _kill(self, name: str, _: Random) -> None:
        self._podman.cli("kill", name)
        self._podman.cli("wait", name)

    def _rename(self, name: str, _: Random) -> str:
        other = renamed(name)
        self._podman.cli("rename", name, other)
        self._names.discard(name)
        self._names.add(other)
        return other

    def _remove(self, name: str, _: Random) -> None:
        self._podman.cli("rm", "--force", "--time=0", name)
        self._names.discard(name)

    def _update(self, name: str, dice: Random) -> None:
        memory = dice.choice((32, 40, 48, 64))
        quota = dice.choice((25_000, 50_000, 100_000))
        words = (f"--memory={memory}m", f"--cpu-quota={quota}", "--cpu-period=100000")
        self._podman.cli("--runtime=runc", "update", *words, name)

    def _sicken(self, name: str, _: Random) -> None:
        """Make a healthy one sick, and a sick one healthy."""
        (told,) = json.loads(self._podman.cli("inspect", "--type=container", name))
        state = told["State"]
        sick = (state.get("Healthcheck") or state.get("Health"))["Status"] == "unhealthy"
        self._podman.cli("exec", name, "sh", "-c", "rm -f /sick" if sick else "echo > /sick")
        with suppress(CommandError):  # it fails where the check does
            self._podman.cli("healthcheck", "run", name)

    def _oom(self, name: str, _: Random) -> None:
        """Let a process that was put into it need more memory than it may have."""
        told = self._podman.cli("inspect", "--format={{.State.Pid}} {{.Id}}", name).split()
        pid, key = int(told[0]), told[1]
        before = kernel.oom_kills(pid)
        with suppress(CommandError, subprocess.TimeoutExpired):
            self._podman.cli("exec", name, "tail", "/dev/zero")
        self._kills[key] = self._kills.get(key, 0) + kernel.oom_kills(pid) - before


class RootlessDriver(PodmanDriver):
    """Containers of an ordinary user's podman, who may set no limits and pause nothing."""

    name = "rootless"

    @property
    def ways(self) -> Mapping[str, Way]:
        ways = super().ways
        return {name: ways[name] for name in ("plain", "created")}

    @property
    def actions(self) -> Mapping[str, Action]:
        actions = super().actions
        possible = ("stop", "kill", "start", "restart", "rename", "remove")
        return {name: actions[name] for name in possible}
