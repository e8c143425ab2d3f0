from __future__ import annotations

import pytest

from collectors.formats.numbers import parse_decimal


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("42\n", 42),
        (" 7 ", 7),
        ("", None),
        ("-1", None),
        ("4x", None),
        ("٣", None),
        ("²", None),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, None),
        ("9" * 5000, None),
    ],
)
def test_decimals(text: str, number: int | None) -> None:
    assert parse_decimal(text) == number
