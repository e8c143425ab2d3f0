"""The operator's own word: rules of the configuration that set a container's style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.patterns import Pattern

if TYPE_CHECKING:
    from agent.model import Style


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
