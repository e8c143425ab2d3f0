"""The values of vzlist's fields: numbers as it prints them, and checks of what a field holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
"""What a field of vzlist can hold: the types of JSON."""

Fields: TypeAlias = Mapping[str, Value]
"""The fields of one container by vzlist's names."""

_NUMBER_LENGTH = 24
"""Longer than any number of vzlist; Python refuses to read numbers of thousands of digits."""

_TEXT_LIMIT = 1024


def parse_number(text: str) -> int | float | None:
    """Parse a number as printf(3) writes it; None for anything else."""
    if not text or len(text) > _NUMBER_LENGTH or not text.isascii():
        return None
    try:
        # The decimal point is that of the locale in which vzlist ran.
        return float(text.replace(",", ".")) if "." in text or "," in text else int(text)
    except ValueError:
        return None


def as_text(value: Value) -> str:
    """Return a value that is text, else ""; ``-`` is vzlist's word for none."""
    if not isinstance(value, str) or value == "-":
        return ""
    return value[:_TEXT_LIMIT].strip()


def as_list(value: Value) -> list[Value]:
    """Return a value that is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_integer(value: Value) -> int | None:
    """Return a value that is an integer."""
    return None if isinstance(value, bool) or not isinstance(value, int) else value


def as_real(value: Value) -> float | None:
    """Return a value that is a number of reasonable size, not negative."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e15:
        return None
    number = float(value)
    return number if math.isfinite(number) and number >= 0 else None


def as_flag(value: Value) -> bool | None:
    """Return a value that is true or false."""
    return value if isinstance(value, bool) else None


def as_load(value: Value) -> tuple[float, float, float] | None:
    """Return a value that is three load averages."""
    if not isinstance(value, list) or len(value) != 3:
        return None
    one, five, fifteen = map(as_real, value)
    if one is None or five is None or fifteen is None:
        return None
    return one, five, fifteen
