"""Which cgroup is a machine's: its scope or service, not the payload in it."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from collectors.engines.shared.cgroup_paths import cgroup_paths, find_cgroup
from collectors.kernel.cgroups import contains

if TYPE_CHECKING:
    from collectors.facts import Process


def machine_cgroup(init: Process, outside: Process | None, name: str, unit: str) -> str | None:
    """Return the cgroup of a running machine.

    ``outside`` is its systemd-nspawn process, where that can be seen; ``unit`` is the one that
    machined has registered, or empty. None where the machine has no cgroup of its own, as without
    machined on a host without systemd.
    """
    units = {unit, f"machine-{escape_unit(name)}.scope", f"systemd-nspawn@{name}.service"}

    def is_its(path: str) -> bool:
        part = posixpath.basename(path)
        if part != "payload":
            return part in units
        return outside is None or not any(contains(path, o) for o in cgroup_paths(outside))

    path = find_cgroup(init, is_its) or ""
    return path.removesuffix("/payload") or None


def escape_unit(name: str) -> str:
    r"""Escape a name for a unit's as systemd does: ``my-box`` is ``my\x2dbox``; systemd.unit(5)."""
    escaped = re.sub(
        r"[^A-Za-z0-9:_.]", lambda m: "".join(f"\\x{b:02x}" for b in m[0].encode()), name
    )
    return "\\x2e" + escaped[1:] if escaped.startswith(".") else escaped
