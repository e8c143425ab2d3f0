"""Numbers and labels as text, read back."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parse_text

from agent.exposition.text import identity, label_value, number


@given(st.one_of(st.floats(), st.integers(-(2**80), 2**80)))
def test_a_number_reads_back_as_itself(value: float) -> None:
    text = number(value).decode()
    if math.isnan(value):
        assert text == "NaN"
    else:
        assert float(text) == float(value)


@given(st.text(st.characters(), max_size=60))
def test_any_text_is_one_line_that_parses_back(text: str) -> None:
    shown = label_value(text)
    assert shown.isprintable()
    line = f'x{{a="{shown}"}} 1\n'
    ((family,),) = [list(parse_text(line))]
    value = family.samples[0].labels["a"]
    if text.isprintable():
        assert value == text


@given(st.lists(st.text(max_size=700), min_size=2, max_size=2, unique=True))
def test_identities_stay_different(texts: list[str]) -> None:
    assert identity(texts[0]) != identity(texts[1])
