from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sanitize import LIMIT, escape_bytes, printable

ANY = st.text(st.characters())  # with surrogates


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web-1", "web-1"),
        ("日本 é", "日本 é"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("\u2028", "\\u2028"),
        ("\U000e0041", "\\U000e0041"),
        (os.fsdecode(b"\xff\x80"), "\\xff\\x80"),
        ("\ud800", "\\ud800"),
        ("\x00", "\\x00"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(ANY)
def test_a_line_is_printable_and_can_be_encoded(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode("utf-8").decode("utf-8") == shown


@given(ANY)
def test_a_harmless_line_stays_as_it_is(text: str) -> None:
    assert printable(printable(text, 50), 10_000) == printable(text, 50)


def test_a_megabyte_is_not_shown() -> None:
    assert len(printable("x" * 1_000_000)) == LIMIT


@given(ANY)
def test_documents_get_valid_unicode(text: str) -> None:
    shown = escape_bytes(text)
    assert json.loads(json.dumps(shown).encode("ascii")) == shown
    shown.encode("utf-8")


@given(st.text())
def test_valid_unicode_is_not_touched(text: str) -> None:
    assert escape_bytes(text) == text


def test_two_byte_strings_stay_different() -> None:
    one, other = os.fsdecode(b"/a\xfe"), os.fsdecode(b"/a\xff")
    assert escape_bytes(one) != escape_bytes(other)
    assert printable(one) != printable(other)
