"""What a collector is: a name, and a way to say once what it sees now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from collectors.facts import HostFacts, ProcessTable, Sighting
    from collectors.hostfs import HostFS


class CollectorError(Exception):
    """A collector could not see what it is there to see; the message says why, in one line."""


class PartlySeen(CollectorError):
    """One of several engines could not be asked; ``sightings`` is all that was seen yet."""

    def __init__(self, message: str, sightings: tuple[Sighting, ...]) -> None:
        super().__init__(message)
        self.sightings = sightings


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an operator may say about where engines are; the defaults need nothing."""

    docker_hosts: tuple[str, ...] = ()
    """Docker endpoints besides those found, for instance ``unix:///srv/docker.sock``."""
    docker_timeout: float = 3.0
    """Seconds that an engine's API may take for one answer."""
    vzlist_command: tuple[str, ...] = ()
    """Replaces ``vzlist``: a program and its leading arguments."""
    vzlist_file: str = ""
    """A file that holds vzlist's output, where the agent cannot run the program."""
    lxc_paths: tuple[str, ...] = ()
    """lxcpaths besides those found."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """DOCKER_HOST and its like; the process's own environment unless a test says otherwise."""


class Watch(Protocol):
    """Asks to be told soon when directories come or go in a folder of the host.

    With ``files`` also when files do, or are written to. It may be asked any number of times, from
    any thread, and of folders that are not there.
    """

    def __call__(self, path: str, *, files: bool = False) -> None:
        """Watch one folder."""


def _watch_nothing(path: str, *, files: bool = False) -> None:
    """Have no eyes: a single look, or a test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a collector is given when it is asked what it sees."""

    host: HostFS
    """The door to the host, with a tally of this collector's own."""
    facts: HostFacts
    processes: ProcessTable
    options: Options
    now: float
    """Seconds since the epoch."""
    full: bool = True
    """A full reconciliation: whatever was kept is to be checked against the engine again."""
    wake: Callable[[], None] = lambda: None
    """To be called, from any thread, when an engine says that something changed."""
    watch: Watch = _watch_nothing


class Collector(Protocol):
    """A reader of one engine. It may keep state between calls, and it is called by one thread.

    ``collect`` gives everything that it sees, running or not: what it leaves out is gone. No
    engine on the host is an empty answer. It raises ``CollectorError`` when there is an engine
    that it could not read, and then its last answer stands; ``PartlySeen`` brings a new one. It
    never starts an engine and never connects to a socket whose daemon does not run. One broken
    container costs that container's sighting and is counted in the tally of ``ctx.host``, not more.
    """

    name: str

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return which containers this engine has now."""
        ...

    def close(self) -> None:
        """Let go of sockets, threads and descriptors."""
        ...
