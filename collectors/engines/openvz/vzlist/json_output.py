"""vzlist's JSON, also when invalid: 7 and 9 repeat a key, and no version escapes its strings.

Every version prints one field a line, indented by four blanks, and no string holds a newline: the
configuration is read by lines. So a document of that shape is parsed by lines, too. A quote, a tab
or a backslash in a name then does no harm, and a name such as ``x", "status": "running`` cannot
pretend to be other fields, as it could with a JSON parser. Any other shape, for instance after
jq -c, is left to the JSON parser.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from collectors.engines.openvz.vzlist.errors import CutShort, NotAList
from collectors.engines.openvz.vzlist.values import parse_number

if TYPE_CHECKING:
    from collectors.engines.openvz.vzlist.values import Fields, Value

_LITERALS: dict[str, Value] = {"true": True, "false": False, "null": None}
_MISSING = object()
_CONTAINER_ENDS = ("  }", "  },")


def parse_json(data: bytes) -> list[Fields]:
    """Parse a document of vzlist -j into the fields of each container.

    Raises ``CutShort`` when its end is missing and ``NotAList`` when it is something else.
    """
    text = data.decode("utf-8", "replace")
    start = _first_line(text)
    if start is None:
        return _parse_any_json(text)
    return _parse_lines(_Lines(text[start:]))


def _first_line(text: str) -> int | None:
    """Find the line ``[`` or ``[]`` that begins a document of vzlist's own shape."""
    position = 0
    for _ in range(20):
        end = text.find("\n", position)
        line = text[position:end] if end >= 0 else text[position:]
        if line == "[]":
            return position
        if line == "[":
            following = text[end + 1 : end + 5] if end >= 0 else ""
            return position if following in ("", "]", "]\n", "  {\n") else None
        if end < 0 or line.startswith(("[", "{")):
            return None
        position = end + 1
    return None


class _Lines:
    """The lines one by one: a list of a million lines would be many times the size of the text."""

    def __init__(self, text: str) -> None:
        self._file = io.StringIO(text, newline="\n")
        self._again: str | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, self._again = self._again, None
        return line if line is not None else next(self._file).removesuffix("\n")

    def again(self, line: str) -> None:
        """Return a line once more: it belongs to the level above."""
        self._again = line


def _parse_lines(lines: _Lines) -> list[Fields]:
    if next(lines) == "[]":
        return []
    containers: list[Fields] = []
    for line in lines:
        if line == "  {":
            containers.append(_parse_container(lines))
        elif line == "]":
            return containers
    raise CutShort("the output of vzlist ends before the list does")


def _parse_container(lines: _Lines) -> Fields:
    fields: dict[str, Value] = {}
    for line in lines:
        if line in _CONTAINER_ENDS:
            return fields
        key, value = _field(line, '    "')
        if not key:
            continue
        if value == "{":
            fields[key.partition(".")[0]] = _parse_mapping(lines)
        elif value == "[":
            fields[key] = _parse_list(lines)
        else:
            scalar = _value(value)
            if scalar is not _MISSING:
                fields[key] = scalar
    raise CutShort("the output of vzlist ends within a container")


def _parse_mapping(lines: _Lines) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    for line in lines:
        if line in ("    }", "    },"):
            return fields
        if _is_around(line):
            lines.again(line)
            return fields
        key, text = _field(line, '      "')
        value = _value(text)
        if key and value is not _MISSING:
            fields[key] = value
    raise CutShort("the output of vzlist ends within a field")


def _parse_list(lines: _Lines) -> list[Value]:
    """Parse a list over several lines, as jq writes it."""
    values: list[Value] = []
    for line in lines:
        if line in ("    ]", "    ],"):
            return values
        if _is_around(line):
            lines.again(line)
            return values
        value = _value(line.strip().removesuffix(","))
        if value is not _MISSING:
            values.append(value)
    raise CutShort("the output of vzlist ends within a list")


def _is_around(line: str) -> bool:
    """Return whether a line belongs to the container already: the end of the field is missing."""
    return line in _CONTAINER_ENDS or line.startswith('    "')


def _field(line: str, start: str) -> tuple[str, str]:
    """Split ``    "key": value,``; the key is empty for any other line."""
    if not line.startswith(start):
        return "", ""
    key, colon, value = line[len(start) :].partition('": ')
    return (key, value.removesuffix(",")) if colon else ("", "")


def _value(text: str) -> Any:
    """Return the value on a line, ``_MISSING`` where there is none or it is invalid.

    7 prints nothing at all for some fields (``"slmmode": ,``).
    """
    if len(text) >= 2 and text[0] == text[-1] == '"':
        # Nothing in it is escaped, so nothing is unescaped.
        return text[1:-1]
    if text in _LITERALS:
        return _LITERALS[text]
    if text.startswith("[") and text.endswith("]"):
        words = (_value(word) for word in text[1:-1].split(", "))
        return [word for word in words if word is not _MISSING]
    number = parse_number(text)
    return _MISSING if number is None else number


def _parse_any_json(text: str) -> list[Fields]:
    try:
        document = json.loads(text, strict=False)
    except RecursionError as error:
        raise NotAList("vzlist printed lists within lists without an end") from error
    except ValueError as error:
        raise NotAList(f"vzlist printed no JSON: {error}") from error
    if not isinstance(document, list):
        raise NotAList("vzlist printed JSON, but no list")
    return [fields for fields in document if isinstance(fields, dict)]
