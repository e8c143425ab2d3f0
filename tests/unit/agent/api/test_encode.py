"""What strangers choose cannot get out of the JSON that it is in."""

from __future__ import annotations

import json

import pytest

from agent.api import objects
from agent.api.encode import as_json
from tests.support.snapshots import BAD, EVIL, picture

NAMES = [
    "\x1b]0;x\x07",
    "<script>alert(1)</script>",
    "\u202eevil",
    "\udcff",
    "x" * 10_000,
    "\n\r\u2028",
]


@pytest.mark.parametrize("name", [EVIL, *NAMES])
def test_a_name_stays_a_string(name: str) -> None:
    text = as_json({"name": name, name: 1})
    assert text.isascii()
    assert not set(text) & {*range(32), ord("<"), ord(">")}
    again = json.loads(text)
    assert len(again) == 2
    if "\udcff" not in name:
        assert again["name"] == name


def test_what_is_no_unicode_is_escaped() -> None:
    text = as_json(objects.explained(BAD, picture()))
    assert b"\\\\xff" in text
    assert b"\\udcff" not in text
