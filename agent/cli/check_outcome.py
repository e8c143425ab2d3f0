"""What one of the checks of ``tallyman check`` has found."""

from __future__ import annotations

from dataclasses import dataclass

from agent.sanitize import escape_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that the agent needs to read, and whether it can."""

    name: str
    good: bool
    found: str
    lost: str = ""
    """What is missing because of it."""
    remedy: str = ""
    optional: bool = False
    """Not a failure if it is missing."""

    @property
    def failed(self) -> bool:
        """Whether something is missing that verdicts or metrics need."""
        return not self.good and not self.optional

    def as_object(self) -> dict[str, object]:
        """Return the object of ``check --json``."""
        return {
            "name": escape_bytes(self.name),
            "ok": self.good,
            "optional": self.optional,
            "found": escape_bytes(self.found),
            "lost": "" if self.good else self.lost,
            "remedy": "" if self.good else self.remedy,
        }
