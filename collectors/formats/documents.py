"""JSON that engines write, as untrusted input: a value that is not of the expected type is absent.

Untrusted engines (Docker in Docker, a user's podman) are read by the same parsers as the host's
own, so nothing here trusts a type, a size or a nesting depth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

TEXT_LIMIT = 4096
"""Characters that are kept of one string: labels can hold whole manifests."""

ITEM_LIMIT = 1024
"""Entries that are kept of one list or mapping."""


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object whose getters return a value of the right type, or nothing."""

    raw: Mapping[str, object] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.raw)

    def text(self, key: str) -> str:
        """Return a string, clipped and free of lone surrogates; empty where there is none."""
        return clean_text(self.raw.get(key))

    def integer(self, key: str) -> int | None:
        """Return a whole number that fits 64 bits, or None; true and false are not numbers."""
        value = self.raw.get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return value if -(1 << 63) <= value < 1 << 64 else None

    def flag(self, key: str) -> bool | None:
        """Return a truth value."""
        value = self.raw.get(key)
        return value if isinstance(value, bool) else None

    def time(self, key: str) -> float | None:
        """Return an RFC 3339 time in seconds since the epoch, see ``parse_time``."""
        return parse_time(self.text(key))

    def object(self, key: str) -> JsonObject:
        """Return an object; an empty one where there is none."""
        return as_object(self.raw.get(key))

    def objects(self, key: str) -> list[JsonObject]:
        """Return those entries of a list that are objects."""
        return as_objects(self.raw.get(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return those entries of a list that are strings."""
        value = self.raw.get(key)
        entries = value[:ITEM_LIMIT] if isinstance(value, list) else []
        return tuple(clean_text(entry) for entry in entries if isinstance(entry, str))

    def text_map(self, key: str) -> dict[str, str]:
        """Return those entries of an object that are strings: labels, annotations."""
        value = self.raw.get(key)
        entries = list(value.items())[:ITEM_LIMIT] if isinstance(value, dict) else []
        return {clean_text(k): clean_text(v) for k, v in entries if isinstance(v, str)}


def clean_text(value: object) -> str:
    """Return a string that can be encoded, at most ``TEXT_LIMIT`` long; "" for no string."""
    if not isinstance(value, str):
        return ""
    value = value[:TEXT_LIMIT]
    # "\ud800" is legal JSON but not legal Unicode text.
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def as_object(value: object) -> JsonObject:
    """Wrap a value that should be an object; anything else is an empty one."""
    return JsonObject(value) if isinstance(value, dict) else JsonObject()


def as_objects(value: object) -> list[JsonObject]:
    """Wrap those entries of what should be a list that are objects."""
    entries = value if isinstance(value, list) else []
    return [JsonObject(entry) for entry in entries if isinstance(entry, dict)]


def parse_json(data: bytes | str) -> object:
    """Parse JSON; None for anything else, however it is broken. Bad UTF-8 becomes U+FFFD."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        # RecursionError: a document of nothing but opening brackets.
        return None
    return value


def parse_object(data: bytes | str) -> JsonObject | None:
    """Parse a JSON object; None for anything else."""
    value = parse_json(data)
    return JsonObject(value) if isinstance(value, dict) else None


def parse_time(text: str) -> float | None:
    """Parse RFC 3339 with nanoseconds, as Go writes it, into seconds since the epoch.

    Go's zero time, 0001-01-01, means "never", and so does anything before 1970 or unreadable.
    """
    try:
        moment = datetime.fromisoformat(text)
        seconds = moment.timestamp() if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
    return seconds if seconds is not None and seconds > 0 else None
