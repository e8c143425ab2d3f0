"""Patterns of engine, name, image and labels, with which operators select containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agent.model import Style


class Described(Protocol):
    """What a pattern can match: a container, or one collector's sighting of it."""

    @property
    def engine(self) -> str:
        """Name of its engine."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def image(self) -> str:
        """Image or template."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The engine's labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Every part that is set must match, with ``*`` and ``?`` as in a shell."""

    engine: str = ""
    name: str = ""
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Pattern by label. The label must exist; ``*`` matches any value."""

    def matches(self, container: Described) -> bool:
        """Return whether a container matches."""
        given = (
            (self.engine, container.engine),
            (self.name, container.name),
            (self.image, container.image),
        )
        return all(not pattern or fnmatchcase(value, pattern) for pattern, value in given) and all(
            label in container.labels and fnmatchcase(container.labels[label], pattern)
            for label, pattern in self.labels.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Override(Pattern):
    """Sets the style of the containers that it matches; without a pattern, of all."""

    style: Style

    def describe(self) -> str:
        """Return the rule in one line, such as ``engine=docker name=web*``."""
        given = [
            f"{key}={pattern}"
            for key, pattern in (
                ("engine", self.engine),
                ("name", self.name),
                ("image", self.image),
            )
            if pattern
        ]
        given.extend(f"label {label}={pattern}" for label, pattern in sorted(self.labels.items()))
        return " ".join(given) or "every container"
