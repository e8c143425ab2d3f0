"""The operator's own word: rules of the configuration that set a container's style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.model import Container, Style


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Sets the style of the containers that match all its patterns (``*``, ``?`` as in a shell).

    An empty pattern matches everything, so an override of nothing but a style sets all.
    """

    style: Style
    engine: str = ""
    name: str = ""
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Pattern by label; the label must be there, ``*`` takes any value."""

    def matches(self, container: Container) -> bool:
        """Say whether this rule is about that container."""
        given = (
            (self.engine, container.engine),
            (self.name, container.name),
            (self.image, container.image),
        )
        return all(not pattern or fnmatchcase(value, pattern) for pattern, value in given) and all(
            label in container.labels and fnmatchcase(container.labels[label], pattern)
            for label, pattern in self.labels.items()
        )

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
