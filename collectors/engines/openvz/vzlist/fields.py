"""One container as vzlist lists it, whatever the version and the format: fields to facts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from collectors.engines.openvz.units import (
    BLOCK,
    LAYOUTS,
    STATUSES,
    addresses,
    amount,
    is_ctid,
    is_resource,
    template,
    unit_of,
)
from collectors.facts import Beancounter, OpenvzFacts

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
"""What a field of vzlist can hold: the types of JSON."""

Fields: TypeAlias = Mapping[str, Value]
"""The fields of one container by vzlist's names."""

FIRST_ADDRESS = "first_ip"
"""A field of our own: addresses from a column of the table that shows one of them only."""

_TEXT_LIMIT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What vzlist says of one container."""

    facts: OpenvzFacts
    name: str = ""
    hostname: str = ""
    root: str = ""
    """Where its file system is mounted while it runs."""
    private: str = ""
    counted: bool = False
    """``held``, ``maxheld`` and ``failures`` were measured: vzlist prints 0 for them when it could
    not read them, and whenever the status is not running."""
    partial_addresses: tuple[str, ...] = ()
    """Some of its addresses, from a table with room for one."""

    @property
    def ctid(self) -> str:
        """The container's number or UUID."""
        return self.facts.ctid


def parse_fields(fields: Fields) -> Listed | None:
    """Make facts of a container's fields; None without a CTID.

    A field that is missing, or is not what it should be, is a fact that is not known.
    """
    ctid = ctid_of(fields)
    if ctid is None:
        return None
    status = _text(fields, "status")
    status = status if status in STATUSES else "unknown"
    mappings = {name: value for name, value in fields.items() if isinstance(value, dict)}
    counters = {
        name: value
        for name, value in mappings.items()
        if ("held" in value or "limit" in value) and is_resource(name)
    }
    counted = status == "running" and any(
        _number(counter, part)
        for counter in counters.values()
        for part in ("held", "maxheld", "failcnt")
    )
    beancounters = tuple(
        _beancounter(name, counter, counted=counted) for name, counter in counters.items()
    )
    space, inodes = mappings.get("diskspace", {}), mappings.get("diskinodes", {})
    held = {b.resource: b for b in beancounters}
    swap, processes = held.get("swappages"), held.get("numproc")
    facts = OpenvzFacts(
        ctid=ctid,
        status=status,
        ostemplate=template(_text(fields, "ostemplate")),
        addresses=addresses(_list(fields, "ip")),
        configured_addresses=addresses(_list(fields, "configured_ip")),
        onboot=_flag(fields, "onboot"),
        bootorder=_positive(fields, "bootorder"),
        disabled=_flag(fields, "disabled"),
        features=_features(mappings.get("features", {})),
        layout=_layout(fields.get("layout")),
        beancounters=beancounters,
        disk_used_bytes=_quota(space, "usage", BLOCK),
        disk_soft_bytes=_quota(space, "softlimit", BLOCK),
        disk_hard_bytes=_quota(space, "hardlimit", BLOCK),
        inodes_used=_quota(inodes, "usage"),
        inodes_soft=_quota(inodes, "softlimit"),
        inodes_hard=_quota(inodes, "hardlimit"),
        load=_load(fields.get("laverage")),
        uptime_seconds=_seconds(fields.get("uptime")),
        cpu_limit_ratio=_percent(fields.get("cpulimit")),
        cpu_units=_positive(fields, "cpuunits"),
        cpus=_positive(fields, "cpus"),
        swap_used_bytes=swap.held if swap else None,
        swap_limit_bytes=swap.limit if swap else None,
        processes=processes.held if processes else None,
        io_limit_bytes_per_second=_positive(fields, "iolimit"),
        io_limit_operations_per_second=_positive(fields, "iopslimit"),
    )
    return Listed(
        facts=facts,
        name=_name(fields, ctid),
        hostname=_text(fields, "hostname"),
        root=_text(fields, "root"),
        private=_text(fields, "private"),
        counted=counted,
        partial_addresses=addresses(_list(fields, FIRST_ADDRESS)),
    )


def ctid_of(fields: Fields) -> str | None:
    """Return the CTID, a number in 4.x and text in 7; the oldest versions call it veid or vpsid."""
    for name in ("ctid", "veid", "vpsid"):
        value = fields.get(name)
        if isinstance(value, (str, int)) and is_ctid(str(value)):
            return str(value)
    return None


def _name(fields: Fields, ctid: str) -> str:
    name = _text(fields, "name")
    if not name and "name" not in fields:
        # The smart name is the CTID of a container that has no name.
        smart = _text(fields, "smart_name")
        name = "" if smart == ctid else smart
    return name


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or value == "-":
        return ""
    return value[:_TEXT_LIMIT].strip()


def _list(fields: Fields, name: str) -> list[Value]:
    value = fields.get(name)
    return value if isinstance(value, list) else []


def _number(fields: Fields, name: str) -> int | None:
    value = fields.get(name)
    return None if isinstance(value, bool) or not isinstance(value, int) else value


def _positive(fields: Fields, name: str) -> int | None:
    """Return a setting of which 0 means that it is not set."""
    return amount(fields.get(name)) or None


def _flag(fields: Fields, name: str) -> bool | None:
    value = fields.get(name)
    return value if isinstance(value, bool) else None


def _features(fields: Fields) -> tuple[str, ...]:
    return tuple(
        sorted(
            f"{name}:{'on' if value else 'off'}"
            for name, value in fields.items()
            if isinstance(value, bool)
        )
    )


def _layout(value: Value) -> str:
    return LAYOUTS.get(str(value), "")


def _beancounter(name: str, fields: Fields, *, counted: bool) -> Beancounter:
    unit = unit_of(name)
    barrier, limit = _number(fields, "barrier"), _number(fields, "limit")
    if not counted and not limit:
        # Of a container that does not run a limit of 0 is one that nobody has set.
        barrier, limit = barrier or None, None
    return Beancounter(
        resource=name,
        held=amount(_number(fields, "held"), unit) if counted else None,
        maxheld=amount(_number(fields, "maxheld"), unit) if counted else None,
        barrier=amount(barrier, unit),
        limit=amount(limit, unit),
        failures=amount(_number(fields, "failcnt")) if counted else None,
    )


def _quota(fields: Fields, name: str, unit: int = 1) -> int | None:
    """Return a quota or what is used of it; 0 is not measured, as no root directory is empty."""
    return amount(_number(fields, name), unit) or None


def _load(value: Value) -> tuple[float, float, float] | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    one, five, fifteen = (_real(v) for v in value)
    if one is None or five is None or fifteen is None:
        return None
    return one, five, fifteen


def _seconds(value: Value) -> float | None:
    return _real(value) or None


def _percent(value: Value) -> float | None:
    """Return a limit in percent of one CPU as CPUs; 0 is no limit."""
    percent = _real(value)
    return percent / 100 if percent else None


def _real(value: Value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e15:
        return None
    number = float(value)
    return number if math.isfinite(number) and number >= 0 else None
