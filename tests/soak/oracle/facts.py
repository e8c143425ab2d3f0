"""What is compared of a container, and what a driver of an engine offers to the machine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

Value = str | int | None

CREATED, RUNNING, PAUSED, EXITED = "created", "running", "paused", "exited"
UNKNOWN = "unknown"
RESTLESS = "restless"
"""Of a container that starts and ends by itself all the time: in no state that can be compared."""
ANY_STATE = frozenset({CREATED, RUNNING, PAUSED, EXITED, "restarting", "removing", "dead"})

ALIVE = frozenset({RUNNING, PAUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A container as its engine's own tool shows it, and the kernel where the tool is silent."""

    name: str
    state: str
    values: Mapping[str, Value] = field(default_factory=dict)
    """Other attributes; what is not named is not compared, what is None must be absent."""
    moves: bool = False
    """It starts and ends by itself: neither its state nor what goes with it is compared."""
    only_by_api: frozenset[str] = frozenset()
    """Attributes of which nobody but the engine's API knows any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that can be done to a container."""

    do: Callable[[str, Random], str | None]
    """Takes the name of the container; returns the new one if it gave it another."""
    of: frozenset[str]
    """States in which it can be done."""
    to: str = ""
    """The state afterwards, if it is another one."""
    removes: bool = False
    via: frozenset[str] = frozenset()
    """States that may be seen meanwhile."""
    only: frozenset[str] = frozenset()
    """Ways of making after which it can be done; empty for all."""
    weight: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way of making a container."""

    make: Callable[[str, Random], None]
    to: str = RUNNING
    via: frozenset[str] = frozenset({CREATED})
    weight: int = 2


class Driver(ABC):
    """One engine: what can be done with its containers, and what its own tool says of them.

    Containers are identified by ``key``: a text that is in the id or the cgroup of that container
    alone, and stays the same for its life.
    """

    engine: str
    """As in the agent's label."""
    name: str
    """Another for each driver, where several are of one engine."""
    flags: tuple[str, ...] = ()
    """What the agent must be told to find it."""
    moves = False
    """Whether containers may change by themselves, so that they are looked at between steps."""
    noticed = 0.0
    """Seconds more than for others until it is noticed that one came or went."""
    forgets = False
    """Whether the engine keeps no note of what ran and ended, or was never started, so that a
    single listing cannot know which."""
    again = True
    """Whether a container may be made under the name of one that was removed."""

    @property
    @abstractmethod
    def ways(self) -> Mapping[str, Way]:
        """Return the ways of making a container, by name."""

    @property
    @abstractmethod
    def actions(self) -> Mapping[str, Action]:
        """Return what can be done with a container, by name."""

    @abstractmethod
    def truths(self) -> Mapping[str, Truth]:
        """Return what is true now, by key."""

    def close(self) -> None:  # noqa: B027 - where the engine is ours, all goes with it
        """Remove what is left."""
