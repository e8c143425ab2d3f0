from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.openvz.names import ctid_of_link
from collectors.engines.openvz.parameters import Range, parse_parameters, parse_range

PAGE = 4096


def test_forms_of_a_line() -> None:
    text = '# A="1"\nB="two words"\n  C=3  \nD="unmatched\nE=\nF=""\ng="x"\nH I="x"\nJ="a=b"\n'
    assert parse_parameters(text) == {"B": "two words", "C": "3", "E": "", "F": "", "J": "a=b"}


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("0:512M", PAGE, Range(0, 512 << 20)),
        ("131072:131072", PAGE, Range(131072 * PAGE, 131072 * PAGE)),
        ("65536", PAGE, Range(65536 * PAGE, 65536 * PAGE)),
        ("2G:2.2G", 1024, Range(2 << 30, 2306867 * 1024)),
        ("10485760:10485760", 1024, Range(10 << 30, 10 << 30)),
        ("14372700:14790164", 1, Range(14372700, 14790164)),
        ("0:unlimited", PAGE, Range(0, None)),
        ("unlimited", 1, Range(None, None)),
        ("9223372036854775807:9223372036854775807", 1, Range(None, None)),
        ("2P:2p", PAGE, Range(8192, 8192)),
        ("abc:def", 1, Range(None, None)),
        ("0:-5", PAGE, Range(0, None)),
        ("", 1, Range(None, None)),
    ],
)
def test_ranges(text: str, unit: int, expected: Range) -> None:
    assert parse_range({"X": text}, "X", unit) == expected


@given(st.text())
def test_any_text_is_parsed(text: str) -> None:
    assert isinstance(parse_parameters(text), dict)
    ctid_of_link(text)
