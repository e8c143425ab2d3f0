"""Objects of the schema as what JSON can hold, in the order in which their fields are declared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from agent.sanitize import escape_bytes


def plain(value: Any) -> Any:
    """Return an object of the schema as dictionaries, lists and plain values, in valid Unicode."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return escape_bytes(str(value))
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {escape_bytes(key): plain(each) for key, each in value.items()}
    return {field.name: plain(getattr(value, field.name)) for field in fields(value)}


def as_json(value: Any) -> bytes:
    """Return an object of the schema as JSON in ASCII: no name can end a line, or be anything else.

    What is written into HTML by mistake is no markup either.
    """
    text = json.dumps(plain(value), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").encode()
