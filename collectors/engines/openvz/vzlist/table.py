"""vzlist's text table: the only format of 3.x, and the fallback where the JSON is unusable.

Absent is ``-``, trailing blanks are trimmed, nothing is quoted. Columns of text are left-aligned,
cut to their width unless they come last (7 does not cut them) and may hold blanks; numbers are
right-aligned and shift the rest of the row when they are longer. A column of addresses shows all of
them when it is the last, else the first, cut to 15 characters. The header shows which columns there
are and where they begin: in bytes, as printf(3) counts them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collectors.engines.openvz.units import address_of, flag, is_ctid
from collectors.engines.openvz.vzlist.errors import CutShort, NotAList
from collectors.engines.openvz.vzlist.fields import FIRST_ADDRESS
from collectors.engines.openvz.vzlist.values import Fields, Value, parse_number

_BEANCOUNTERS = {
    "KMEMSIZE": "kmemsize",
    "LOCKEDP": "lockedpages",
    "PRIVVMP": "privvmpages",
    "SHMP": "shmpages",
    "NPROC": "numproc",
    "PHYSP": "physpages",
    "VMGUARP": "vmguarpages",
    "OOMGUARP": "oomguarpages",
    "NTCPSOCK": "numtcpsock",
    "NFLOCK": "numflock",
    "NPTY": "numpty",
    "NSIGINFO": "numsiginfo",
    "TCPSNDB": "tcpsndbuf",
    "TCPRCVB": "tcprcvbuf",
    "OTHSOCKB": "othersockbuf",
    "DGRAMRB": "dgramrcvbuf",
    "NOTHSOCK": "numothersock",
    "DCACHESZ": "dcachesize",
    "NFILE": "numfile",
    "NIPTENT": "numiptent",
    "SWAPP": "swappages",
}
_COUNTER_PARTS = {"": "held", "M": "maxheld", "B": "barrier", "L": "limit", "F": "failcnt"}
_QUOTAS = {
    "DSPACE": "diskspace",
    "DQBLOCKS": "diskspace",
    "DINODES": "diskinodes",
    "DQINODES": "diskinodes",
}
_QUOTA_PARTS = {"": "usage", "S": "softlimit", "H": "hardlimit"}
_ADDRESSES = {"IP_ADDR": "ip", "CFG_IP_ADDR": "configured_ip"}
_ADDRESS_WIDTH = 15
_NEAR = 8
"""Less than the width of a column of addresses, and more than rows are shifted to the left."""

_MOST_COLUMNS = 500
"""More than vzlist has; all fields of 7 with all of their parts are 160."""

_CTID = ("CTID", "VEID", "VPSID")
_TEXT = {
    "NAME": 32,
    "SMARTNAME": 32,
    "HOSTNAME": 32,
    "DESCRIPTION": 32,
    "OSTEMPLATE": 24,
    "PRIVATE": 32,
    "ROOT": 32,
    "NETWORK": 32,
    "NET_INTERFACES": 32,
    "MOUNT_OPTS": 16,
    "ORIGIN_SAMPLE": 32,
    "DEVNODES": 16,
}
"""Columns that may hold blanks or nothing at all, with the least width that a version gives them.
A column that is not known here may, too."""

_HEADER_RIGHT = {"SMARTNAME": 10, "ORIGIN_SAMPLE": 32, "UUID": 36}
"""Columns that begin long before their header, which is right-aligned; their width."""

_HEADER_WORD = re.compile(rb"[A-Z][A-Z0-9_.%]*", re.ASCII)
_WORD = re.compile(rb"[^ ]+")
_UPTIME = re.compile(r"(\d{1,9})d(\d{1,2})h:(\d{1,2})m:(\d{1,10})s", re.ASCII)
_NUMBER = re.compile(r"\d{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Column:
    header: str
    start: int
    end: int


def parse_table(data: bytes) -> list[Fields]:
    """Parse a table of vzlist into the fields of each container.

    It needs a header with a CTID column; without one, it must be vzlist -1 or have the default
    columns. Raises ``CutShort`` when the last line has no end and ``NotAList`` for anything else.
    """
    if data and not data.endswith(b"\n"):
        raise CutShort("the output of vzlist ends within a line")
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:20]):
        columns = _parse_header(line)
        if columns:
            rows = [_parse_row(row, columns) for row in lines[number + 1 :] if row.strip()]
            return [row for row in rows if "ctid" in row]
    return _parse_bare(lines)


def _parse_header(line: bytes) -> list[_Column]:
    """Return the columns that a header names, nothing when it is no header."""
    columns: list[_Column] = []
    for match in _WORD.finditer(line):
        if _HEADER_WORD.fullmatch(match[0]) is None or len(columns) >= _MOST_COLUMNS:
            return []
        header, start = match[0].decode("ascii"), match.start()
        wide = match.end() - _HEADER_RIGHT.get(header, 0)
        if header in _HEADER_RIGHT and (wide == 0 or line[max(0, wide - 1) : start].isspace()):
            start = wide
        columns.append(_Column(header, start, match.end()))
    return columns if any(c.header in _CTID for c in columns) else []


def _parse_bare(lines: Sequence[bytes]) -> list[Fields]:
    """Parse rows without a header: vzlist -1, or the columns of vzlist -H."""
    containers: list[Fields] = []
    for line in lines:
        words = line.decode("utf-8", "replace").split(None, 4)
        if not words:
            continue
        is_row = len(words) == 1 or (len(words) >= 4 and words[2].isalpha())
        if not is_ctid(words[0]) or not is_row:
            raise NotAList("vzlist printed no list of containers, or a table without a header")
        fields: dict[str, Value] = {"ctid": words[0]}
        if len(words) > 1:
            fields["numproc"] = {"held": _number(words[1])}
            fields["status"] = words[2]
            fields[FIRST_ADDRESS] = _first_addresses(words[3])
            fields["hostname"] = words[4].rstrip() if len(words) > 4 else None
        containers.append(fields)
    if not containers:
        raise NotAList("vzlist printed no list of containers")
    return containers


def _parse_row(row: bytes, columns: Sequence[_Column]) -> Fields:
    """Parse a row from both of its ends, as far as each column is one word.

    Between the first and the last column that may hold blanks the position decides. A single such
    column is all that is left, however long: no other column can be lost by that.
    """
    texts = [i for i, column in enumerate(columns) if not _is_word(column)]
    first, last = (texts[0], texts[-1]) if texts else (len(columns), len(columns) - 1)
    fields: dict[str, Value] = {}
    begin, shift = _parse_words(row, columns[:first], fields)
    end = _parse_words_backwards(row, columns[last + 1 :], begin, fields)
    if texts and end is not None:
        if first == last:
            _set(fields, columns[first].header, _decode(row[begin:end]))
        else:
            _parse_places(row[:end], begin, shift, columns[first : last + 1], fields)
    return fields


def _is_word(column: _Column) -> bool:
    """Return whether every version writes exactly one word in it, or addresses."""
    base = column.header.partition(".")[0]
    is_known = base in _BEANCOUNTERS or base in _QUOTAS
    is_known = is_known or column.header in _COLUMNS or column.header in _UNUSED
    return is_known and column.header not in _TEXT


def _parse_words(
    row: bytes, columns: Sequence[_Column], fields: dict[str, Value]
) -> tuple[int, int]:
    """Parse columns of one word from the left; return where they end, and how far they shifted."""
    position = shift = 0
    for column in columns:
        match = _WORD.search(row, position)
        if match is None:
            return len(row), shift
        position = match.end()
        if column.header in _ADDRESSES:
            position = _after_addresses(row, position)
        if _stands_right(column.header):
            shift = max(0, position - column.end)
        _set(fields, column.header, _decode(row[match.start() : position]))
    return position, shift


def _parse_words_backwards(
    row: bytes, columns: Sequence[_Column], begin: int, fields: dict[str, Value]
) -> int | None:
    """Parse columns of one word from the right down to ``begin``; return where they start.

    None: there are fewer words than columns.
    """
    words = list(_WORD.finditer(row, begin))
    texts: list[tuple[_Column, str]] = []
    end: int | None = len(row)
    for column in reversed(columns):
        if not words:
            end = None
            break
        match = words.pop()
        start = match.start()
        if column.header in _ADDRESSES and _is_address(match[0]):
            # The last column has all of them, with --no-trim every column.
            # Addresses far before it belong to another column, such as name servers.
            while words and _is_address(words[-1][0]) and words[-1].start() > column.start - _NEAR:
                start = words.pop().start()
        texts.append((column, _decode(row[start : match.end()])))
        end = start
    for column, text in reversed(texts):
        if column is columns[-1] and column.header in _ADDRESSES:
            addresses = [word for word in text.split() if address_of(word)]
            fields[_ADDRESSES[column.header]] = list[Value](addresses)
        else:
            _set(fields, column.header, text)
    return end


def _parse_places(
    row: bytes, position: int, shift: int, columns: Sequence[_Column], fields: dict[str, Value]
) -> None:
    """Parse columns by position, until one is out of place."""
    following: Sequence[_Column | None] = (*columns[1:], None)
    for column, after in zip(columns, following, strict=True):
        start = column.start + shift
        if _is_word(column):
            words = _WORD.finditer(row, position)
            matches = [m for m in words if m.end() > start and m.start() < column.end + shift]
            if len(matches) != 1:
                return
            text, position = matches[0][0], matches[0].end()
            if _stands_right(column.header):
                shift = max(min(shift, 0), position - column.end)
        else:
            if start < position or row[position:start].strip():
                return
            end = _end_of_text(row, column, after, shift)
            if row[end : end + 1].strip():
                overlong = end
                end = row.find(b" ", end) % (len(row) + 1)
                shift += end - overlong
            if after is not None and column.header == "ROOT":
                # 7 makes the header of this one wider than the column.
                shift -= max(0, after.start - column.start - _TEXT["ROOT"] - 1)
            text, position = row[start:end], end
        _set(fields, column.header, _decode(text))


def _end_of_text(row: bytes, column: _Column, after: _Column | None, shift: int) -> int:
    """Return where a column ends that is no longer than its width."""
    if after is None:
        return len(row)
    if column.header == "ROOT" or _stands_right(after.header) or not _is_known(after):
        return column.start + shift + _TEXT.get(column.header, column.end - column.start)
    return after.start + shift - 1


def _is_known(column: _Column) -> bool:
    return column.header in _TEXT or _is_word(column)


def _stands_right(header: str) -> bool:
    """Return whether a column's words end where its header does."""
    base = header.partition(".")[0]
    return base in _BEANCOUNTERS or base in _QUOTAS or header in _RIGHT


def _is_address(word: bytes) -> bool:
    return bool(address_of(_decode(word)))


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace").strip()


def _after_addresses(row: bytes, position: int) -> int:
    """Return where the addresses end that follow each other from here on (vzlist --no-trim)."""
    for match in _WORD.finditer(row, position):
        if not _is_address(match[0]):
            break
        position = match.end()
    return position


def _set(fields: dict[str, Value], header: str, text: str) -> None:
    """Set the field of a column, in the shape that the JSON has."""
    base, _, part = header.partition(".")
    if base in _BEANCOUNTERS and part in _COUNTER_PARTS:
        _set_part(fields, _BEANCOUNTERS[base], _COUNTER_PARTS[part], text)
    elif base in _QUOTAS and part in _QUOTA_PARTS:
        _set_part(fields, _QUOTAS[base], _QUOTA_PARTS[part], text)
    elif header in _COLUMNS:
        name, convert = _COLUMNS[header]
        fields[name] = convert(text)


def _set_part(fields: dict[str, Value], name: str, part: str, text: str) -> None:
    counter = fields.setdefault(name, {})
    if isinstance(counter, dict):
        counter[part] = _number(text)


def _word(text: str) -> str | None:
    return None if text in ("", "-") else text


def _first_addresses(text: str) -> list[Value]:
    # An IPv6 address of 15 characters may be the beginning of a longer one.
    return [w for w in text.split() if len(w) != _ADDRESS_WIDTH or ":" not in w]


def _load(text: str) -> list[Value]:
    return [parse_number(number) for number in text.split("/")]


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _uptime(text: str) -> float | None:
    """Parse 021d08h:00m:03s into seconds."""
    match = _UPTIME.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(group) for group in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


_COLUMNS: dict[str, tuple[str, Callable[[str], Value]]] = {
    **dict.fromkeys(_CTID, ("ctid", _word)),
    "STATUS": ("status", _word),
    "SMARTNAME": ("smart_name", _word),
    "NAME": ("name", _word),
    "HOSTNAME": ("hostname", _word),
    "OSTEMPLATE": ("ostemplate", _word),
    "PRIVATE": ("private", _word),
    "ROOT": ("root", _word),
    "LAYOUT": ("layout", _word),
    "CPULIM": ("cpulimit", _number),
    "CPUL_%": ("cpulimit", _number),
    "CPUUNI": ("cpuunits", _number),
    "CPUS": ("cpus", _number),
    "IOLIMIT": ("iolimit", _number),
    "IOPS": ("iopslimit", _number),
    "IOPSLIMIT": ("iopslimit", _number),
    "ONBOOT": ("onboot", flag),
    "LAVERAGE": ("laverage", _load),
    "UPTIME": ("uptime", _uptime),
    **dict.fromkeys(_ADDRESSES, (FIRST_ADDRESS, _first_addresses)),
}
"""Field of the JSON by column, and the function that parses its text."""

_UNUSED = frozenset(
    {"UUID", "TM", "AUTOSTOP", "HA_ENABLE", "HA_PRIO", "NETFILTER", "IOP", "IOPRIO", "VSWAP"}
    | {"BOOTORDER", "DISABL", "FEATURES"}
)
"""Columns of one word that are not read."""

_RIGHT = frozenset(_CTID) | {
    "UUID",
    "HA_PRIO",
    "LAVERAGE",
    "UPTIME",
    "CPULIM",
    "CPUL_%",
    "CPUUNI",
    "CPUS",
    "BOOTORDER",
    "IOLIMIT",
    "IOPSLIMIT",
}
"""Columns besides the counters that every version aligns to the right."""
