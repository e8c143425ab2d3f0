"""Rules of the operator: which containers are shown, and what some of them are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

from agent.config.keys import TEXT, Kind, Reader, choice, key
from agent.model import Style


class Described(Protocol):
    """What a rule can match: a container, or what one collector says of it."""

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


def _labels(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values()):
        return dict(value)
    raise ValueError('must be a table of patterns, such as { "com.example.team" = "web*" }')


LABELS = Kind(_labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A pattern for containers: all that it names must fit. ``*`` and ``?`` as in a shell."""

    engine: str = key("", TEXT, "engine, such as lxc")
    name: str = key("", TEXT, "name, such as web-*")
    image: str = key("", TEXT, "image or template")
    labels: Mapping[str, str] = key({}, LABELS, "labels that must be there, each with a pattern")

    def matches(self, container: Described) -> bool:
        """Say whether a container fits."""
        given = (
            (self.engine, container.engine),
            (self.name, container.name),
            (self.image, container.image),
        )
        return all(not pattern or fnmatchcase(value, pattern) for pattern, value in given) and all(
            label in container.labels and fnmatchcase(container.labels[label], pattern)
            for label, pattern in self.labels.items()
        )

    @property
    def names_something(self) -> bool:
        """It is a pattern at all: one that names nothing would fit everything."""
        return bool(self.engine or self.name or self.image or self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleRule(Match):
    """The operator's word on what some containers are; it wins over the evidence."""

    style: str = key("", choice(Style.APP, Style.SYSTEM), "app or system")


def _matches(value: Any) -> tuple[Match, ...]:
    if not isinstance(value, list):
        raise ValueError('must be a list of patterns, such as [{ engine = "docker" }]')  # noqa: TRY004
    reader = Reader()
    found = tuple(reader.section(Match(), entry, "pattern") for entry in value)
    if reader.problems:
        raise ValueError(reader.problems[0])
    if not all(match.names_something for match in found):
        raise ValueError("must name engine, name, image or labels in each pattern")
    return found


MATCHES = Kind(_matches)
