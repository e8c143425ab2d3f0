"""Output for terminals: width, colours, wrapped text and tables."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "magenta": "35",
    "cyan": "36",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What the output can show: how many columns, colours, which characters."""

    width: int | None = None
    """In columns; None where lines need not fit, as in a pipe."""
    colour: bool = False
    unicode: bool = True

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str] = os.environ) -> Screen:
        """Return what a stream can show: colour and width on terminals only; heeds NO_COLOR."""
        encoding = (stream.encoding or "ascii").lower()
        terminal = stream.isatty()
        return cls(
            width=shutil.get_terminal_size((100, 24)).columns if terminal else None,
            colour=terminal
            and not environment.get("NO_COLOR")
            and environment.get("TERM", "") not in ("", "dumb"),
            unicode=encoding.startswith("utf"),
        )

    def paint(self, colour: str, text: str) -> str:
        """Return the text in a colour, or unchanged on a screen without colours."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.colour and colour and text else text

    def wrap(self, text: str, indent: str) -> list[str]:
        """Break a sentence into indented lines that fit the width."""
        if self.width is None or columns(indent + text) <= self.width:
            return [indent + text]
        room = max(8, self.width - len(indent))
        lines = [""]
        for word in text.split(" "):
            if lines[-1] and columns(lines[-1]) + 1 + columns(word) > room:
                lines.append(word)
            else:
                lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
        return [indent + part for part in lines]


PLAIN = Screen()


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a table."""

    text: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    head: str
    least: int = 0
    """Smallest width to which it may be cut or wrapped; 0: it is neither."""
    right: bool = False
    wrap: bool = False
    """Wrap its text instead of cutting it; only for the last column."""
    expendable: int = 0
    """It is left out where not all fit, the highest first; 0: it stays."""


def columns(text: str) -> int:
    """Return how many columns of a terminal a text occupies."""
    if text.isascii():
        return len(text)
    import unicodedata  # noqa: PLC0415 - a megabyte of tables, seldom needed

    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def fit(text: str, width: int) -> str:
    """Cut a text to a width, ending in an ellipsis if something is cut off."""
    if columns(text) <= width:
        return text
    kept = ""
    for char in text:
        if columns(kept + char) > width - 1:
            break
        kept += char
    return kept + "…"


def table(
    heads: Sequence[Column], rows: Sequence[Sequence[Cell]], screen: Screen
) -> list[list[str]]:
    """Lay out a table; return the lines of its head, then those of each row.

    Where not all columns fit, even cut to their least widths, the most expendable are left out.
    """
    heads, rows = _fitting(heads, rows, screen.width)
    widths = [
        max([columns(head.head), *(columns(row[index].text) for row in rows)])
        for index, head in enumerate(heads)
    ]
    if screen.width is not None:
        _narrow(heads, widths, screen.width)
    first = [Cell(head.head, "bold") for head in heads]
    return [list(_row(row, heads, widths, screen)) for row in (first, *rows)]


def _fitting(
    heads: Sequence[Column], rows: Sequence[Sequence[Cell]], room: int | None
) -> tuple[Sequence[Column], Sequence[Sequence[Cell]]]:
    if room is None:
        return heads, rows
    least = [
        head.least or max([columns(head.head), *(columns(row[index].text) for row in rows)])
        for index, head in enumerate(heads)
    ]
    kept = list(range(len(heads)))
    while sum(least[index] + 2 for index in kept) - 2 > room:
        chosen = max(kept, key=lambda index: heads[index].expendable)
        if not heads[chosen].expendable:
            break
        kept.remove(chosen)
    return [heads[i] for i in kept], [[row[i] for i in kept] for row in rows]


def _narrow(heads: Sequence[Column], widths: list[int], room: int) -> None:
    excess = sum(widths) + 2 * (len(widths) - 1) - room
    while excess > 0:
        # Columns that wrap shrink first, then the widest, until none may shrink further.
        narrow = [i for i, head in enumerate(heads) if head.least and widths[i] > head.least]
        if not narrow:
            return
        chosen = max(narrow, key=lambda i: (heads[i].wrap, widths[i]))
        widths[chosen] -= 1
        excess -= 1


def _row(
    cells: Sequence[Cell], heads: Sequence[Column], widths: Sequence[int], screen: Screen
) -> Iterator[str]:
    more: list[str] = []
    parts = []
    for cell, head, width in zip(cells, heads, widths, strict=True):
        text = cell.text
        if head.wrap:
            text, *more = Screen(width=width).wrap(text, "")
        text = fit(text, width)
        padding = " " * (width - columns(text))
        painted = screen.paint(cell.colour, text)
        parts.append(padding + painted if head.right else painted + padding)
    yield "  ".join(parts).rstrip()
    indent = " " * (sum(widths[:-1]) + 2 * (len(widths) - 1))
    yield from (indent + fit(text, widths[-1]) for text in more)
