"""What runs as long as the program that made it: systemd-nspawn without machined, and unshare.

The kernel says what is true: they are there as long as their first process is.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.harness import bare, roots, systems
from tests.soak.oracle.facts import EXITED, RUNNING, Action, Driver, Truth, Way

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from random import Random

    from tests.engines.harness.made import Made


class SingleDriver(Driver):
    """Containers that are made and removed, and nothing else.

    No file and no cgroup says that one came or went: the light scan finds them, each 4 seconds.
    """

    noticed = 5.0

    def __init__(self) -> None:
        self._all: dict[str, tuple[Made, str, ExitStack]] = {}
        """What was made under a name of the machine's, with its key."""

    @property
    def ways(self) -> Mapping[str, Way]:
        return {"plain": Way(make=self._make, via=frozenset())}

    @property
    def actions(self) -> Mapping[str, Action]:
        # nspawn is there for a moment longer than what ran in it.
        via = frozenset({EXITED})
        return {"remove": Action(do=self._remove, of=frozenset({RUNNING}), removes=True, via=via)}

    def truths(self) -> Mapping[str, Truth]:
        return {
            key: Truth(name=made.name, state=RUNNING)
            for made, key, _ in self._all.values()
            if _start_of(made.pid)
        }

    def close(self) -> None:
        """Remove what is left."""
        for name in list(self._all):
            self._remove(name)

    @abstractmethod
    def container(self, dice: Random) -> AbstractContextManager[Made]:
        """Return a container for as long as the block runs."""

    @abstractmethod
    def key(self, made: Made) -> str:
        """Return what identifies it."""

    def _make(self, name: str, dice: Random) -> None:
        stack = ExitStack()
        made = stack.enter_context(self.container(dice))
        self._all[name] = (made, self.key(made), stack)

    def _remove(self, name: str, _: object = None) -> None:
        self._all.pop(name)[2].close()


class NspawnDriver(SingleDriver):
    """Containers of systemd-nspawn."""

    engine = "nspawn"
    name = "nspawn"

    def container(self, _: Random) -> AbstractContextManager[Made]:
        return systems.nspawn("/bin/sleep", "86400")

    def key(self, made: Made) -> str:
        return made.name


class UnshareDriver(SingleDriver):
    """Containers of no engine, without a name and a cgroup of their own."""

    engine = "none"
    name = "unshare"

    def __init__(self, place: Path) -> None:
        super().__init__()
        self._root = roots.make_busybox(place / "root")

    def container(self, dice: Random) -> AbstractContextManager[Made]:
        flags = dice.choice((("--mount",), ("--mount", "--ipc"), ("--mount", "--net")))
        return bare.sleeping_in("none", "unshare", *flags, "--root", self._root)

    def key(self, made: Made) -> str:
        return f"/none/{made.pid}-{_start_of(made.pid)}"


def _start_of(pid: int | None) -> str:
    """Return when a process began, in ticks; empty if it is no more, or was not reaped yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
