"""Whole numbers in untrusted text."""

from __future__ import annotations


def parse_decimal(text: str, digits: int = 18) -> int | None:
    """Parse an unsigned decimal number of at most so many digits: pids, ports, sizes in files.

    None is anything else. ``str.isdigit()`` alone is not enough: it takes digits of other scripts,
    and int() raises above 4,300 digits.
    """
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else None
