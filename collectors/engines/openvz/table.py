"""vzlist's text table: the only format of 3.x, and what is left when the JSON is of no use.

Absent is ``-``, trailing blanks are trimmed, nothing is quoted. Columns of words stand at the left
of their width, are cut to it unless they come last (7 does not cut them) and may hold blanks;
numbers stand at the right and push the rest of the row when they are longer. A column of addresses
shows all of them when it is the last, else the first, cut to 15 characters. The header tells the
columns apart, and where they begin: in bytes, as printf(3) counts them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collectors.engines.openvz.errors import CutShort, NotAList
from collectors.engines.openvz.listing import FIRST_ADDRESS, Fields, Value
from collectors.engines.openvz.units import STATUSES, address_of, is_ctid

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
_MOST_COLUMNS = 500
"""More than vzlist has; all fields of 7 with all of their parts are 160."""

_CTID = ("CTID", "VEID", "VPSID")
_WIDE = {
    "NAME": 32,
    "HOSTNAME": 32,
    "DESCRIPTION": 32,
    "NETWORK": 32,
    "NET_INTERFACES": 32,
    "MOUNT_OPTS": 16,
    "DEVNODES": 16,
}
"""Columns that may hold blanks, with their width."""

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
    columns. Raises ``CutShort`` when the last line has no end and ``NotAList`` when it is
    something else.
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
    """Give the columns that a header names, nothing when it is no header."""
    columns: list[_Column] = []
    for match in _WORD.finditer(line):
        if _HEADER_WORD.fullmatch(match[0]) is None or len(columns) >= _MOST_COLUMNS:
            return []
        columns.append(_Column(match[0].decode("ascii"), match.start(), match.end()))
    return columns if any(c.header in _CTID for c in columns) else []


def _parse_bare(lines: Sequence[bytes]) -> list[Fields]:
    """Parse rows without a header: vzlist -1, or the columns of vzlist -H."""
    containers: list[Fields] = []
    for line in lines:
        words = line.decode("utf-8", "replace").split(None, 4)
        if not words:
            continue
        is_row = len(words) == 1 or (len(words) >= 4 and words[2] in STATUSES)
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
    fields: dict[str, Value] = {}
    position = 0
    shift = 0  # by how much a long number has pushed the rest of the row to the right
    for column in columns:
        if column.header in _WIDE:
            start = column.start + shift
            if start < position or row[max(start - 1, 0) : start].strip():
                # Something before it did not keep to its column.
                continue
            end = start + _WIDE[column.header] if column is not columns[-1] else len(row)
            if row[end : end + 1].strip():
                overlong = end
                end = row.find(b" ", end) % (len(row) + 1)
                shift += end - overlong
            text, position = row[start:end], end
        else:
            match = _WORD.search(row, position)
            if match is None:
                break
            text, position = match[0], match.end()
            if _stands_right(column.header):
                shift = max(0, match.end() - column.end)
            if column.header in _ADDRESSES:
                position = _after_addresses(row, position)
                text = row[match.start() : position]
        _set(fields, column.header, text.decode("utf-8", "replace").strip())
    if columns[-1].header in _ADDRESSES:
        fields.pop(FIRST_ADDRESS, None)
        fields[_ADDRESSES[columns[-1].header]] = _trailing_addresses(row)
    return fields


def _stands_right(header: str) -> bool:
    """Say whether a column's words end where its header does."""
    base = header.partition(".")[0]
    return base in _BEANCOUNTERS or base in _QUOTAS or header in _RIGHT


def _after_addresses(row: bytes, position: int) -> int:
    """Give where the addresses end that follow each other from here on (vzlist --no-trim)."""
    for match in _WORD.finditer(row, position):
        if not address_of(match[0].decode("utf-8", "replace")):
            break
        position = match.end()
    return position


def _trailing_addresses(row: bytes) -> list[Value]:
    """Give the addresses at the end of a row: no column before them can spoil them."""
    words = row.decode("utf-8", "replace").split()
    first = len(words)
    while first and address_of(words[first - 1]):
        first -= 1
    return list[Value](words[first:])


def _set(fields: dict[str, Value], header: str, text: str) -> None:
    """Set what a column says, in the shape that the JSON has."""
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


def _flag(text: str) -> bool | None:
    return {"yes": True, "no": False}.get(text)


def _first_addresses(text: str) -> list[Value]:
    # An IPv6 address of 15 characters may be the beginning of a longer one.
    return [w for w in text.split() if len(w) != _ADDRESS_WIDTH or ":" not in w]


def _load(text: str) -> list[Value]:
    return [_real(number) for number in text.split("/")]


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _real(text: str) -> float | None:
    try:
        return float(text) if len(text) < 24 else None
    except ValueError:
        return None


def _uptime(text: str) -> float | None:
    """Parse 021d08h:00m:03s into seconds."""
    match = _UPTIME.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(group) for group in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _features(text: str) -> dict[str, Value]:
    pairs = (pair.partition(":") for pair in text.split(","))
    return {name: state == "on" for name, _, state in pairs if state in ("on", "off")}


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
    "BOOTORDER": ("bootorder", _number),
    "IOLIMIT": ("iolimit", _number),
    "IOPS": ("iopslimit", _number),
    "IOPSLIMIT": ("iopslimit", _number),
    "ONBOOT": ("onboot", _flag),
    "DISABL": ("disabled", _flag),
    "LAVERAGE": ("laverage", _load),
    "UPTIME": ("uptime", _uptime),
    "FEATURES": ("features", _features),
    **dict.fromkeys(_ADDRESSES, (FIRST_ADDRESS, _first_addresses)),
}
"""Field of the JSON by column, and what makes its value of the column's text."""

_RIGHT = frozenset(_CTID) | {
    "UUID",
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
"""Columns besides the counters in which every version writes at the right end."""
