"""The operator's rules: which containers are shown, and which have a fixed style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.config.keys import TEXT, Kind, Reader, choice, key
from agent.model import Style
from agent.patterns import Pattern


def _labels(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values()):
        return dict(value)
    raise ValueError('must be a table of patterns, such as { "com.example.team" = "web*" }')


LABELS = Kind(_labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match(Pattern):
    """A pattern in the configuration."""

    engine: str = key("", TEXT, "engine, such as lxc")
    name: str = key("", TEXT, "name, such as web-*")
    image: str = key("", TEXT, "image or template")
    labels: Mapping[str, str] = key({}, LABELS, "required labels, each with a pattern")

    @property
    def names_something(self) -> bool:
        """Whether it restricts anything: an empty pattern would match every container."""
        return bool(self.engine or self.name or self.image or self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleRule(Match):
    """Sets the style of the containers that it matches, whatever the evidence says."""

    style: str = key("", choice(Style.APP, Style.SYSTEM), "app or system")


def _matches(value: Any) -> tuple[Match, ...]:
    if not isinstance(value, list):
        raise ValueError('must be a list of patterns, such as [{ engine = "docker" }]')  # noqa: TRY004
    reader = Reader()
    matches = tuple(reader.section(Match(), entry, "pattern") for entry in value)
    if reader.problems:
        raise ValueError(reader.problems[0])
    if not all(match.names_something for match in matches):
        raise ValueError("must name engine, name, image or labels in each pattern")
    return matches


MATCHES = Kind(_matches)
