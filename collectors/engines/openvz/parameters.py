"""Lines of NAME="value" as for a shell in OpenVZ's configuration: vz.conf(5), ctid.conf(5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from collectors.formats.numbers import parse_decimal
from collectors.kernel.beancounters import amount

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARAMETER = re.compile(r'[ \t]*([A-Z][A-Z0-9_]{0,40})=(?:"([^"]*)"|([^"]*))[ \t]*')
_AMOUNT = re.compile(r"(\d{1,20})(?:\.(\d{1,6}))?([BKMGTP]?)", re.IGNORECASE | re.ASCII)
_SUFFIXES = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 4096}
"""Bytes by suffix; P is pages."""


class Range(NamedTuple):
    """Barrier and limit, or soft and hard limit; None is unlimited."""

    barrier: int | None
    limit: int | None


def parse_parameters(text: str) -> dict[str, str]:
    """Parse NAME="value" lines; like vzctl, leave out a line with an unmatched quote."""
    parameters = {}
    for line in text.split("\n"):
        match = _PARAMETER.fullmatch(line)
        if match is not None:
            parameters[match[1]] = match[2] if match[2] is not None else match[3].strip()
    return parameters


def parse_range(parameters: Mapping[str, str], name: str, unit: int = 1) -> Range:
    """Parse ``barrier:limit`` in base units; a single number is both.

    A number without a suffix is in ``unit`` bytes (or a count), one with a suffix in that.
    """
    first, colon, second = parameters.get(name, "").partition(":")
    barrier = _amount(first, unit)
    return Range(barrier, _amount(second, unit) if colon else barrier)


def _amount(text: str, unit: int) -> int | None:
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        # "unlimited", or nonsense.
        return None
    suffix = match[3].upper()
    one = _SUFFIXES[suffix] if suffix else unit
    # vzctl keeps whole units.
    whole = int(f"{match[1]}{match[2] or ''}") * one // 10 ** len(match[2] or "") // unit
    return amount(whole, unit)


def parse_number(text: str) -> int | None:
    """Parse a number of which 0 means that it is not set."""
    return amount(parse_decimal(text, digits=19)) or None
