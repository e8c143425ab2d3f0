from __future__ import annotations

import io
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.terminal import Cell, Column, Screen, columns, fit, table
from agent.sanitize import printable


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Pipe(io.StringIO):
    encoding = "ascii"


@pytest.mark.parametrize(
    ("environment", "colour"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_colour(environment: Mapping[str, str], colour: bool) -> None:
    assert Screen.of(Terminal(), environment).colour is colour


def test_a_pipe_has_no_colour_and_no_width() -> None:
    screen = Screen.of(Pipe(), {"TERM": "xterm"})
    assert screen == Screen(width=None, colour=False, unicode=False)


def test_columns() -> None:
    assert columns("abc") == 3
    assert columns("日本") == 4
    assert columns("e\u0301") == 1


@given(st.text(), st.integers(1, 40))
def test_a_text_that_was_cut_fits(text: str, width: int) -> None:
    assert columns(fit(text, width)) <= width


HEADS = (Column("NAME", 6), Column("STATE"), Column("N", right=True))


def test_a_table() -> None:
    rows = [(Cell("a"), Cell("running"), Cell("1")), (Cell("bc"), Cell(""), Cell("10"))]
    assert table(HEADS, rows, Screen()) == [
        ["NAME  STATE     N"],
        ["a     running   1"],
        ["bc             10"],
    ]


@given(st.text(max_size=60))
def test_a_table_fits_the_screen(name: str) -> None:
    heads, row = (*HEADS, Column("WHY", 5, wrap=True)), (Cell("running"), Cell("1"))
    for cells in (
        (Cell(printable(name)), *row, Cell("because")),
        (Cell("name"), *row, Cell(printable(name) + " and more words")),
    ):
        rows = table(heads, [cells], Screen(width=31))
        assert all(columns(shown) <= 31 for lines in rows for shown in lines)


def test_what_may_be_wrapped_is_not_cut() -> None:
    heads = (Column("NAME", 3), Column("WHY", 8, wrap=True))
    rows = [(Cell("a long name"), Cell("for many good reasons"))]
    assert table(heads, rows, Screen(width=20))[1] == [
        "a long na…  for many",
        "            good",
        "            reasons",
    ]


def test_colours_take_no_room() -> None:
    plain = table(HEADS, [(Cell("a", "red"), Cell("b"), Cell("1"))], Screen())
    painted = table(HEADS, [(Cell("a", "red"), Cell("b"), Cell("1"))], Screen(colour=True))
    assert painted[1][0].replace("\x1b[31m", "").replace("\x1b[0m", "") == plain[1][0]


def test_a_long_sentence_is_broken() -> None:
    lines = Screen(width=24).wrap("a sentence of some more words", "  ")
    assert lines == ["  a sentence of some", "  more words"]


def test_a_pipe_gets_it_whole() -> None:
    assert Screen().wrap("word " * 100, "  ") == ["  " + "word " * 100]
