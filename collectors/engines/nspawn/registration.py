"""What systemd-machined keeps of each machine in /run/systemd/machines: src/machine/machine.c."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.formats.numbers import parse_decimal
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.hostfs import Dir

MACHINES = "run/systemd/machines"


@dataclass(frozen=True, slots=True)
class Registration:
    """A machine that is registered with machined."""

    name: str
    unit: str
    service: str
    """Program that registered it."""
    kind: str
    """``container`` or ``vm``."""
    root: str
    leader: int


def read_registrations(root: Dir) -> dict[int, Registration]:
    """Return the registered containers by leader, the number of their first process."""
    registrations = {}
    try:
        names = root.listdir(MACHINES)
    except HostReadError:
        return {}
    for name in names:
        if ":" in name:  # unit:machine-x.scope, a link back
            continue
        with suppress(HostReadError):
            registration = parse_registration(root.read_text(f"{MACHINES}/{name}", 65536))
            if registration is not None and registration.kind == "container":
                registrations[registration.leader] = registration
    return registrations


def parse_registration(text: str) -> Registration | None:
    """Parse a file of machined's; None when it names no machine or no leader."""
    fields = dict(line.partition("=")[::2] for line in text.splitlines())
    name, leader = _unescape(fields.get("NAME", "")), parse_decimal(fields.get("LEADER", ""))
    if not name or leader is None:
        return None
    return Registration(
        name=name,
        unit=_unescape(fields.get("UNIT") or fields.get("SCOPE", "")),
        service=_unescape(fields.get("SERVICE", "")),
        kind=fields.get("CLASS", ""),
        root=_unescape(fields.get("ROOT", "")),
        leader=leader,
    )


def _unescape(text: str) -> str:
    # cescape() of systemd: a backslash is doubled, what is not printable written as in C.
    return re.sub(
        r"\\(x[0-9a-f]{2}|.)",
        lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 3 else m[1],
        text,
    )
