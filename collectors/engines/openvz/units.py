"""Names, numbers and units as OpenVZ writes them.

User beancounters: bytes and counts as they are, ``*pages`` in pages of 4096 bytes. Unlimited is
the largest signed long of whoever wrote it, on Virtuozzo 9 rounded down to a page, and, for pages,
that divided by the page size.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from collectors.facts import State

PAGE = 4096
BLOCK = 1024
"""diskspace is in blocks of this many bytes."""

_UNLIMITED = (1 << 63) - PAGE
_UNLIMITED_32 = (1 << 31) - 1  # LONG_MAX of a 32-bit vzctl, still in old configurations

MAX_CPU_UNITS = 500_000
"""A fair scheduler's weight is this by the cpuunits, include/cpu.h of vzctl."""

_CTID = re.compile(
    r"[1-9][0-9]{0,9}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII
)
_RESOURCE = re.compile(r"[a-z][a-z0-9_]{2,31}", re.ASCII)

STATUSES: Mapping[str, State] = {
    "running": State.RUNNING,
    "stopped": State.EXITED,
    "mounted": State.MOUNTED,
    "suspended": State.SUSPENDED,
    "paused": State.PAUSED,
    "unknown": State.UNKNOWN,
}
"""Every status of every version of vzlist."""

LAYOUTS: Mapping[str, str] = {"simfs": "simfs", "ploop": "ploop", "5": "ploop", "4": "vzfs4"}
"""Layout words of 4.x and layout numbers of 7, VZCTL_LAYOUT_4 and _5 of libvzctl."""


def is_ctid(text: str) -> bool:
    """Return whether this names a container: a number (0 is the host) or a UUID."""
    return _CTID.fullmatch(text) is not None


@lru_cache(maxsize=256)
def is_resource(name: str) -> bool:
    """Return whether this can be the name of a beancounter; ``dummy`` holds the place of none."""
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


def addresses(words: Iterable[object]) -> tuple[str, ...]:
    """Return the addresses among these words in their usual form, each once, without the mask."""
    found: dict[str, None] = {}
    for word in words:
        address = address_of(word)
        if address:
            found[address] = None
    return tuple(found)


def address_of(word: object) -> str:
    """Return an address in its usual form, without the mask; "" for what is none."""
    if not isinstance(word, str) or len(word) > 64:
        return ""
    try:
        return str(ipaddress.ip_address(word.partition("/")[0]))
    except ValueError:
        return ""


def template(name: str) -> str:
    """Return an OS template's name: 7 writes ``.debian-12-x86_64``, and ``-`` for none."""
    return "" if name == "-" else name.removeprefix(".")
