from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.formats.documents import (
    TEXT_LIMIT,
    JsonObject,
    parse_json,
    parse_object,
    parse_time,
)
from tests.support.engine_host import patient

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-23T18:18:50.975358178Z", 1795457930.975358),
        ("2026-11-23T20:18:50+02:00", 1795457930.0),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+02:00", None),
        ("1969-12-31T23:59:59Z", None),
        ("9999-12-31T23:59:59.999999999-23:59", 253402387139.999999),
        ("2026-11-23T18:18:50", None),  # whose clock?
        ("2026-13-41T99:00:00Z", None),
        ("", None),
        ("soon", None),
    ],
)
def test_times_are_read_as_go_writes_them(text: str, seconds: float | None) -> None:
    found = parse_time(text)
    assert found == (None if seconds is None else pytest.approx(seconds))


@patient
@given(st.text())
def test_any_text_is_a_time_or_none(text: str) -> None:
    found = parse_time(text)
    assert found is None or found > 0


def test_a_value_of_the_wrong_type_is_absent() -> None:
    document = JsonObject({"a": 1, "b": "x", "c": [1, "y", {"z": 1}], "d": {"k": "v", "n": 1}})
    assert document.text("a") == ""
    assert document.integer("b") is None
    assert document.flag("a") is None
    assert document.texts("c") == ("y",)
    assert [o.raw for o in document.objects("c")] == [{"z": 1}]
    assert document.text_map("d") == {"k": "v"}
    assert not document.object("b")
    assert document.time("a") is None


def test_true_is_no_number_and_numbers_fit_64_bits() -> None:
    document = JsonObject({"t": True, "big": 1 << 80, "max": (1 << 64) - 1, "low": -(1 << 63) - 1})
    assert document.integer("t") is None
    assert document.integer("big") is None
    assert document.integer("low") is None
    assert document.integer("max") == (1 << 64) - 1


def test_text_is_clipped_and_can_always_be_encoded() -> None:
    document = parse_object(b'{"name": "\\ud800x", "long": "' + b"y" * 10_000 + b'"}')
    assert document is not None
    assert document.text("name") == "?x"
    assert len(document.text("long")) == TEXT_LIMIT


def test_one_bad_byte_does_not_lose_the_document() -> None:
    document = parse_object(b'{"name": "a\xffb"}')
    assert document is not None
    assert document.text("name") == "a\ufffdb"


@pytest.mark.parametrize("data", [b"", b"{", b"nope", b"[" * 200_000, b"9" * 10_000, b"\x00"])
def test_what_is_no_json_is_none(data: bytes) -> None:
    assert parse_json(data) is None


@patient
@given(st.binary())
def test_any_bytes_parse_or_are_none(data: bytes) -> None:
    assert parse_object(data) is None or parse_json(data) is not None


@patient
@given(_JSON, st.text())
def test_any_document_can_be_asked_for_anything(value: object, key: str) -> None:
    document = parse_object(json.dumps({key: value}))
    assert document is not None
    document.text(key).encode()
    document.texts(key)
    document.text_map(key)
    document.object(key).time(key)
    number = document.integer(key)
    assert number is None or isinstance(number, int)
