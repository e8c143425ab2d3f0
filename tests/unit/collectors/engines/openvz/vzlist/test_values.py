from __future__ import annotations

import math

import pytest

from collectors.engines.openvz.vzlist.values import (
    Value,
    as_flag,
    as_integer,
    as_load,
    as_real,
    as_text,
    parse_number,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("0.08", 0.08),
        ("0,08", 0.08),
        ("", None),
        ("-", None),
        ("nan", None),
        ("٣", None),
        ("9" * 25, None),
    ],
)
def test_numbers_are_as_printf_writes_them(text: str, number: float | None) -> None:
    assert parse_number(text) == number


def test_a_flag_is_no_number_and_a_number_no_flag() -> None:
    assert as_integer(True) is as_real(True) is as_flag(1) is None  # noqa: FBT003
    assert (as_integer(3), as_real(3), as_flag(False)) == (3, 3.0, False)  # noqa: FBT003


@pytest.mark.parametrize("value", [-1, 2e15, math.inf, math.nan, "1", None, []])
def test_what_no_uptime_can_be_is_no_real_number(value: Value) -> None:
    assert as_real(value) is None


def test_a_dash_is_no_text() -> None:
    assert (as_text("-"), as_text(" a b "), as_text(5)) == ("", "a b", "")


def test_a_load_is_three_numbers() -> None:
    assert as_load([0, 0.5, 1]) == (0.0, 0.5, 1.0)
    assert as_load([0, 0.5]) is as_load([0, 0.5, None]) is as_load("0/0/0") is None
