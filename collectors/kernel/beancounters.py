"""User beancounters, the limits and counts of OpenVZ's kernel: /proc/user_beancounters, /proc/bc.

Bytes and counts are as they are, ``*pages`` in pages of 4096 bytes. Unlimited is the largest signed
long of the program that set it, on Virtuozzo 9 rounded down to a page, and, for pages, divided by
the page size.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from collectors.facts import Beancounter
from collectors.formats.numbers import parse_decimal
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.hostfs import HostFS

PAGE = 4096
_HOST = "0"
"""The owner of the node's own beancounters."""

_LIMIT = 64 << 20  # 25 lines of 120 bytes a container
_DIGITS = 20  # of 64 bits
_UNLIMITED = (1 << 63) - PAGE
_UNLIMITED_32 = (1 << 31) - 1  # LONG_MAX of a 32-bit vzctl, still in old configurations

_RESOURCE = re.compile(r"[a-z][a-z0-9_]{2,31}", re.ASCII)


def read_beancounters(host: HostFS) -> dict[str, tuple[Beancounter, ...]]:
    """Read the beancounters of all containers of a node by CTID; empty where there are none."""
    return parse_beancounters(_read(host, "bc/resources") or _read(host, "user_beancounters"))


def read_own_beancounters(host: HostFS) -> tuple[Beancounter, ...]:
    """Read the beancounters of this host, which is an OpenVZ container itself; () elsewhere.

    Inside a container there is no /proc/bc, and /proc/user_beancounters shows that container only,
    to root.
    """
    if not host.proc.exists("vz") or host.proc.exists("bc"):
        return ()
    by_owner = parse_beancounters(_read(host, "user_beancounters"))
    if len(by_owner) != 1 or _HOST in by_owner:
        return ()
    return next(iter(by_owner.values()))


def parse_beancounters(data: bytes) -> dict[str, tuple[Beancounter, ...]]:
    """Parse /proc/user_beancounters or /proc/bc/resources by CTID, version 2.5.

    The CTID is on the first row of a container only. Rows before any CTID, which is all that
    /proc/bc/<CTID>/resources has, are under "", those of the host under "0".
    """
    by_owner: dict[str, dict[str, Beancounter]] = {}
    owner = ""
    for line in data.decode("utf-8", "replace").split("\n"):
        words = line.split()
        if not words:
            continue
        if words[0].endswith(":"):
            owner = words.pop(0)[:-1]
        if len(words) != 6 or not is_resource(words[0]):
            continue
        numbers = [parse_decimal(word, _DIGITS) for word in words[1:]]
        if None in numbers:
            continue
        name, unit = words[0], unit_of(words[0])
        held, maxheld, barrier, limit, failures = numbers
        by_owner.setdefault(owner, {})[name] = Beancounter(
            resource=name,
            held=amount(held, unit),
            maxheld=amount(maxheld, unit),
            barrier=amount(barrier, unit),
            limit=amount(limit, unit),
            failures=amount(failures),
        )
    return {owner: tuple(counters.values()) for owner, counters in by_owner.items()}


@lru_cache(maxsize=256)
def is_resource(name: str) -> bool:
    """Return whether this can be the name of a beancounter; ``dummy`` is an unused row."""
    return name != "dummy" and _RESOURCE.fullmatch(name) is not None


def unit_of(resource: str) -> int:
    """Return what one of a beancounter is in its base unit: bytes, or 1."""
    return PAGE if resource.endswith("pages") else 1


def amount(raw: object, unit: int = 1) -> int | None:
    """Return a number in base units; None is unlimited, or no number."""
    if isinstance(raw, bool) or not isinstance(raw, int) or raw < 0:
        return None
    if raw == _UNLIMITED_32 or raw >= _UNLIMITED // unit:
        return None
    return raw * unit


def _read(host: HostFS, path: str) -> bytes:
    try:
        return host.proc.read(path, _LIMIT)
    except HostReadError:
        # Gone: this kernel has no such file. Denied and malformed are counted by HostFS.
        return b""
