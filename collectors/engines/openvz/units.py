"""Names and values as OpenVZ's programs and files write them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

from collectors.facts import State

BLOCK = 1024
"""diskspace is in blocks of this many bytes."""

MIN_CPU_UNITS = 8
"""vzctl(8): no container has fewer cpuunits."""

MAX_CPU_UNITS = 500_000
"""A fair scheduler's weight is this by the cpuunits, include/cpu.h of vzctl."""

_CTID = re.compile(
    r"[1-9][0-9]{0,9}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII
)

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


def flag(text: str) -> bool | None:
    """Parse ``yes`` or ``no``; None for anything else."""
    return {"yes": True, "no": False}.get(text.lower())


def addresses(words: Iterable[object]) -> tuple[str, ...]:
    """Return the addresses among these words in their usual form, each once, without the mask."""
    usual: dict[str, None] = {}
    for word in words:
        address = address_of(word)
        if address:
            usual[address] = None
    return tuple(usual)


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
