"""How operators say which containers they mean: patterns of engine, name, image and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agent.model import Style


class Described(Protocol):
    """What a pattern can fit: a container, or what one collector says of it."""

    @property
    def engine(self) -> str:
        """Who made it."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def image(self) -> str:
        """Image or template."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The engine's labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """All that it names must fit, ``*`` and ``?`` as in a shell; one of nothing fits everything."""

    engine: str = ""
    name: str = ""
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Pattern by label; the label must be there, ``*`` takes any value."""

    def matches(self, container: Described) -> bool:
        """Return whether a container fits."""
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
    """Sets the style of the containers that it matches; one of nothing but a style sets all."""

    style: Style

    def describe(self) -> str:
        """Write the rule as the operator would: ``engine=docker name=web*``."""
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
