"""The interface of a collector: what it is given, and what it returns or raises."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from collectors.facts import HostFacts, ProcessTable, Sighting
    from collectors.hostfs import HostFS


class CollectorError(Exception):
    """A collector could not read its engine; the message says why, in one line."""


class PartlySeen(CollectorError):
    """One of several engines could not be read; ``sightings`` are those of the others."""

    def __init__(self, message: str, sightings: tuple[Sighting, ...]) -> None:
        super().__init__(message)
        self.sightings = sightings


LATER_PATIENCE = 1.0
"""Seconds that a pass after the first one waits for the answer of an engine's daemon. Its files are
read instead, and a late answer brings a pass of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is configured about where engines are; the defaults find most of them."""

    engine_sockets: bool = True
    """Engines may be asked. If not, what they keep on disk is read."""
    docker_hosts: tuple[str, ...] = ()
    """Docker endpoints besides those discovered, for instance ``unix:///srv/docker.sock``."""
    docker_timeout: float = 3.0
    """Seconds that the first pass waits for root's own Docker daemons; then their files are read.
    Later passes wait ``LATER_PATIENCE`` seconds at most."""
    vzlist_command: tuple[str, ...] = ()
    """Replaces ``vzlist``: a program and its leading arguments."""
    vzlist_file: str = ""
    """A file that holds vzlist's output, where the agent cannot run the program."""
    lxc_paths: tuple[str, ...] = ()
    """lxcpaths besides those discovered."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """DOCKER_HOST and the like: the agent's own environment, except in tests."""


class Watch(Protocol):
    """Requests a pass as soon as directories are created or removed in a folder of the host.

    With ``files`` also when files are, or are written to. It may be called any number of times,
    from any thread, and for folders that do not exist.
    """

    def __call__(self, path: str, *, files: bool = False) -> None:
        """Watch one folder."""


def _watch_nothing(path: str, *, files: bool = False) -> None:
    """Ignore the request: for one-shot runs and tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a collector is given for one pass."""

    host: HostFS
    """The host's files, with a tally of this collector's own."""
    facts: HostFacts
    processes: ProcessTable
    options: Options
    now: float
    """Seconds since the epoch."""
    first: bool = True
    """Nothing was shown before this pass, so it waits for engines: in a later one those that are
    late would delay the news of the others."""
    full: bool = True
    """A full reconciliation: what the collector kept is to be checked against the engine again."""
    wake: Callable[[], None] = lambda: None
    """To be called, from any thread, when an engine reports a change."""
    watch: Watch = _watch_nothing
    daemons: dict[tuple[str, str], bool] = field(default_factory=dict)
    """Whether a daemon of root's on the host itself runs, by engine and instance. The collectors of
    engines that have daemons say it, and False only where containers are known that it left."""


class Collector(Protocol):
    """A reader of one engine. It may keep state between calls, and it is called by one thread.

    ``collect`` returns all containers of the engine, running or not: one that it leaves out is
    gone. No engine on the host is an empty result. It raises ``CollectorError`` when there is an
    engine that it cannot read, and then its last result stays valid; ``PartlySeen`` replaces it.
    It never starts an engine, and never connects to a socket whose daemon does not run. A
    malformed container costs that container's sighting only, and is counted in the tally of
    ``ctx.host``.
    """

    name: str

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return the containers that this engine has now."""
        ...

    def close(self) -> None:
        """Close sockets and descriptors, and end threads."""
        ...
