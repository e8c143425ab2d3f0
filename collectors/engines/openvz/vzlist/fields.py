"""One container as vzlist lists it, in any version and format: from its fields to facts."""

from __future__ import annotations

from dataclasses import dataclass

from collectors.engines.openvz.units import (
    BLOCK,
    LAYOUTS,
    STATUSES,
    addresses,
    is_ctid,
    template,
)
from collectors.engines.openvz.vzlist.bounds import without_absurd
from collectors.engines.openvz.vzlist.values import (
    Fields,
    Value,
    as_flag,
    as_integer,
    as_list,
    as_load,
    as_real,
    as_text,
)
from collectors.facts import Beancounter, OpenvzFacts
from collectors.kernel.beancounters import amount, is_resource, unit_of

FIRST_ADDRESS = "first_ip"
"""A field that vzlist does not have: addresses from a column with room for one only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One container as vzlist lists it."""

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
    absurd: tuple[str, ...] = ()
    """Fields that were left out, as their numbers cannot be."""

    @property
    def ctid(self) -> str:
        """The container's number or UUID."""
        return self.facts.ctid


def parse_fields(fields: Fields) -> Listed | None:
    """Return the facts that a container's fields hold; None without a CTID.

    A field that is missing, or not of its type, is a fact that is not known.
    """
    ctid = ctid_of(fields)
    if ctid is None:
        return None
    fields, absurd = without_absurd(fields)
    status = as_text(fields.get("status"))
    status = status if status in STATUSES else "unknown"
    mappings = {name: value for name, value in fields.items() if isinstance(value, dict)}
    counters = {
        name: value
        for name, value in mappings.items()
        if ("held" in value or "limit" in value) and is_resource(name)
    }
    counted = status == "running" and any(
        as_integer(counter.get(part))
        for counter in counters.values()
        for part in ("held", "maxheld", "failcnt")
    )
    beancounters = tuple(
        _beancounter(name, counter, counted=counted) for name, counter in counters.items()
    )
    space, inodes = mappings.get("diskspace", {}), mappings.get("diskinodes", {})
    by_resource = {b.resource: b for b in beancounters}
    swap, processes = by_resource.get("swappages"), by_resource.get("numproc")
    facts = OpenvzFacts(
        ctid=ctid,
        status=status,
        ostemplate=template(as_text(fields.get("ostemplate"))),
        addresses=addresses(as_list(fields.get("ip"))),
        configured_addresses=addresses(as_list(fields.get("configured_ip"))),
        onboot=as_flag(fields.get("onboot")),
        layout=_layout(fields.get("layout")),
        beancounters=beancounters,
        disk_used_bytes=_quota(space, "usage", BLOCK),
        disk_soft_bytes=_quota(space, "softlimit", BLOCK),
        disk_hard_bytes=_quota(space, "hardlimit", BLOCK),
        inodes_used=_quota(inodes, "usage"),
        inodes_soft=_quota(inodes, "softlimit"),
        inodes_hard=_quota(inodes, "hardlimit"),
        load=as_load(fields.get("laverage")),
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
        hostname=as_text(fields.get("hostname")),
        root=as_text(fields.get("root")),
        private=as_text(fields.get("private")),
        counted=counted,
        partial_addresses=addresses(as_list(fields.get(FIRST_ADDRESS))),
        absurd=absurd,
    )


def ctid_of(fields: Fields) -> str | None:
    """Return the CTID, a number in 4.x and text in 7; in the oldest versions veid or vpsid."""
    for name in ("ctid", "veid", "vpsid"):
        value = fields.get(name)
        if isinstance(value, (str, int)) and is_ctid(str(value)):
            return str(value)
    return None


def _name(fields: Fields, ctid: str) -> str:
    name = as_text(fields.get("name"))
    if not name and "name" not in fields:
        # The smart name is the CTID of a container that has no name.
        smart = as_text(fields.get("smart_name"))
        name = "" if smart == ctid else smart
    return name


def _positive(fields: Fields, name: str) -> int | None:
    """Return a setting of which 0 means that it is not set."""
    return amount(fields.get(name)) or None


def _layout(value: Value) -> str:
    return LAYOUTS.get(str(value), "")


def _beancounter(name: str, fields: Fields, *, counted: bool) -> Beancounter:
    unit = unit_of(name)
    barrier, limit = as_integer(fields.get("barrier")), as_integer(fields.get("limit"))
    if not counted and not limit:
        # A limit of 0 of a container that does not run is one that is not set.
        barrier, limit = barrier or None, None
    return Beancounter(
        resource=name,
        held=amount(as_integer(fields.get("held")), unit) if counted else None,
        maxheld=amount(as_integer(fields.get("maxheld")), unit) if counted else None,
        barrier=amount(barrier, unit),
        limit=amount(limit, unit),
        failures=amount(as_integer(fields.get("failcnt"))) if counted else None,
    )


def _quota(fields: Fields, name: str, unit: int = 1) -> int | None:
    """Return a quota or what is used of it; 0 is not measured, as no root directory is empty."""
    return amount(as_integer(fields.get(name)), unit) or None


def _seconds(value: Value) -> float | None:
    return as_real(value) or None


def _percent(value: Value) -> float | None:
    """Return a limit in percent of one CPU as CPUs; 0 is no limit."""
    percent = as_real(value)
    return percent / 100 if percent else None
