"""The configuration of containers: /etc/vz/conf/<CTID>.conf, /etc/vz/names, /etc/vz/vz.conf.

ctid.conf(5) and vz.conf(5): lines of NAME="value" as for a shell, one parameter a line. On 7 the
files in /etc/vz/conf are symbolic links into the private areas, which need not be there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from collectors.engines.openvz.units import (
    BLOCK,
    LAYOUTS,
    addresses,
    amount,
    is_ctid,
    template,
    unit_of,
)
from collectors.facts import Beancounter, OpenvzFacts
from collectors.formats.numbers import parse_decimal
from collectors.hostfs import Gone, HostReadError

if TYPE_CHECKING:
    from collectors.hostfs import HostFS

_DIRECTORY = "etc/vz/conf"
_NAMES = "etc/vz/names"
_GLOBAL = "etc/vz/vz.conf"
_FILE_LIMIT = 64 << 10
_MOST = 50_000
"""Most containers whose configuration is looked at."""

_PARAMETER = re.compile(r'[ \t]*([A-Z][A-Z0-9_]{0,40})=(?:"([^"]*)"|([^"]*))[ \t]*')
_AMOUNT = re.compile(r"(\d{1,20})(?:\.(\d{1,6}))?([BKMGTP]?)", re.IGNORECASE | re.ASCII)
_SUFFIXES = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 4096}
"""P is pages."""

_COUNTERS = (
    "KMEMSIZE",
    "LOCKEDPAGES",
    "PRIVVMPAGES",
    "SHMPAGES",
    "NUMPROC",
    "PHYSPAGES",
    "VMGUARPAGES",
    "OOMGUARPAGES",
    "NUMTCPSOCK",
    "NUMFLOCK",
    "NUMPTY",
    "NUMSIGINFO",
    "TCPSNDBUF",
    "TCPRCVBUF",
    "OTHERSOCKBUF",
    "DGRAMRCVBUF",
    "NUMOTHERSOCK",
    "DCACHESIZE",
    "NUMFILE",
    "NUMIPTENT",
    "SWAPPAGES",
)


class Range(NamedTuple):
    """Barrier and limit, or soft and hard limit; None is unlimited."""

    barrier: int | None
    limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where a node keeps its containers, vz.conf(5); ``$VEID`` is still in them."""

    root: str = "/vz/root/$VEID"
    private: str = "/vz/private/$VEID"
    dump: str = "/vz/dump"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """What the configuration says of one container."""

    facts: OpenvzFacts
    name: str = ""
    hostname: str = ""
    root: str = ""
    private: str = ""
    changed: float = 0.0
    """When the file was last changed, in seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The configuration of a node."""

    containers: Mapping[str, Configured] = field(default_factory=dict)
    names: Mapping[str, str] | None = None
    """Name by CTID, as linked in /etc/vz/names; None where that cannot be read."""
    paths: Paths = Paths()
    changed: float | None = None
    """When a file was last added or removed; None where the directory cannot be read."""

    def lacks(self, ctid: str) -> bool:
        """Return whether it is known that there is no configuration for a container."""
        return self.changed is not None and ctid not in self.containers

    def name_of(self, ctid: str) -> str:
        """Return a container's name: NAME= counts only when it is linked, as for vzctl itself."""
        if self.names is not None:
            return self.names.get(ctid, "")
        configured = self.containers.get(ctid)
        return configured.name if configured else ""


class ConfigurationReader:
    """Reads the configuration of a node; files that have not changed are not read again."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, ...], Configured]] = {}

    def changed(self, host: HostFS) -> float | None:
        """Say when a file was last added or removed; None where the directory cannot be read."""
        try:
            return host.root.stat(_DIRECTORY).st_mtime
        except HostReadError:
            return None

    def read(self, host: HostFS, *, full: bool = True) -> Configuration:
        """Read it; a light pass (``full=False``) looks only at files that are new."""
        paths = parse_paths(_text(host, _GLOBAL))
        try:
            names = host.root.listdir(_DIRECTORY, _MOST)
            changed = host.root.stat(_DIRECTORY).st_mtime
        except HostReadError:
            self._known = {}
            return Configuration(paths=paths)
        ctids = [name.removesuffix(".conf") for name in names if name.endswith(".conf")]
        known = {}
        for ctid in filter(is_ctid, ctids):
            entry = self._known.get(ctid) if not full else None
            entry = entry or self._read(host, ctid, paths)
            if entry is not None:
                known[ctid] = entry
        self._known = known
        return Configuration(
            containers={ctid: configured for ctid, (_, configured) in known.items()},
            names=_read_names(host),
            paths=paths,
            changed=changed,
        )

    def _read(
        self, host: HostFS, ctid: str, paths: Paths
    ) -> tuple[tuple[int, ...], Configured] | None:
        path = f"{_DIRECTORY}/{ctid}.conf"
        try:
            status = host.root.stat(path)
            stamp = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
            known = self._known.get(ctid)
            if known is not None and known[0] == stamp:
                return known
            text = host.root.read_text(path, _FILE_LIMIT)
            target = _link_text(text)
            if target:
                text = host.root.read_text(target, _FILE_LIMIT)
        except Gone:
            # A link into a private area that is not there: destroyed, or not mounted.
            return None
        except HostReadError:
            return (), Configured(facts=OpenvzFacts(ctid=ctid))
        return stamp, parse_container(ctid, text, paths, status.st_ctime)


def parse_parameters(text: str) -> dict[str, str]:
    """Parse NAME="value" lines; as for vzctl, a line with an unmatched quote is left out."""
    found = {}
    for line in text.split("\n"):
        match = _PARAMETER.fullmatch(line)
        if match is not None:
            found[match[1]] = match[2] if match[2] is not None else match[3].strip()
    return found


def parse_paths(text: str) -> Paths:
    """Parse what /etc/vz/vz.conf says of directories."""
    found = parse_parameters(text)
    default = Paths()
    return Paths(
        root=found.get("VE_ROOT") or default.root,
        private=found.get("VE_PRIVATE") or default.private,
        dump=found.get("DUMPDIR") or default.dump,
    )


def parse_container(ctid: str, text: str, paths: Paths, changed: float = 0.0) -> Configured:
    """Parse a container's configuration; parameters that make no sense are left out."""
    found = parse_parameters(text)
    space, inodes = parse_range(found, "DISKSPACE", BLOCK), parse_range(found, "DISKINODES")
    swap = parse_range(found, "SWAPPAGES", unit_of("swappages"))
    given = addresses([*found.get("IP_ADDRESS", "").split(), *_veth_addresses(found)])
    limit = _number(found.get("CPULIMIT", "").removesuffix("%"))
    facts = OpenvzFacts(
        ctid=ctid,
        ostemplate=template(found.get("OSTEMPLATE", "")),
        configured_addresses=given,
        onboot=_flag(found.get("ONBOOT")),
        bootorder=_number(found.get("BOOTORDER")),
        disabled=_flag(found.get("DISABLED")),
        features=_features(found.get("FEATURES", "")),
        layout=LAYOUTS.get(found.get("VE_LAYOUT", ""), ""),
        beancounters=tuple(_counters(found)),
        disk_soft_bytes=space.barrier or None,
        disk_hard_bytes=space.limit or None,
        inodes_soft=inodes.barrier or None,
        inodes_hard=inodes.limit or None,
        cpu_limit_ratio=limit / 100 if limit else None,
        cpu_units=_number(found.get("CPUUNITS")),
        cpus=_number(found.get("CPUS")),
        swap_limit_bytes=swap.limit,
        io_limit_bytes_per_second=_number(found.get("IOLIMIT")),
        io_limit_operations_per_second=_number(found.get("IOPSLIMIT")),
    )
    return Configured(
        facts=facts,
        name=found.get("NAME", ""),
        hostname=found.get("HOSTNAME", ""),
        root=expand(found.get("VE_ROOT") or paths.root, ctid),
        private=expand(found.get("VE_PRIVATE") or paths.private, ctid),
        changed=changed,
    )


def expand(path: str, ctid: str) -> str:
    """Put the CTID into a path."""
    return path.replace("${VEID}", ctid).replace("$VEID", ctid)


def parse_range(found: Mapping[str, str], name: str, unit: int = 1) -> Range:
    """Parse ``barrier:limit`` in base units; a single number is both.

    A number without a suffix is in ``unit`` bytes (or a count), one with a suffix in that.
    """
    first, colon, second = found.get(name, "").partition(":")
    barrier = _amount(first, unit)
    return Range(barrier, _amount(second, unit) if colon else barrier)


def _amount(text: str, unit: int) -> int | None:
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        # "unlimited", or nonsense.
        return None
    suffix = match[3].upper()
    one = _SUFFIXES[suffix] if suffix else unit
    # vzctl keeps whole units.
    whole = int(f"{match[1]}{match[2] or ''}") * one // 10 ** len(match[2] or "") // unit
    return amount(whole, unit)


def _counters(found: Mapping[str, str]) -> list[Beancounter]:
    counters = []
    for key in _COUNTERS:
        if key in found:
            name = key.lower()
            barrier, limit = parse_range(found, key, unit_of(name))
            counters.append(Beancounter(resource=name, barrier=barrier, limit=limit))
    return counters


def _veth_addresses(found: Mapping[str, str]) -> list[str]:
    """Return the addresses of virtual Ethernet devices: NETIF="ifname=eth0,...,ip=ADDRESS/MASK"."""
    words = found.get("NETIF", "").replace(";", ",").split(",")
    return [word.removeprefix("ip=") for word in words if word.startswith("ip=")]


def _features(text: str) -> tuple[str, ...]:
    words = text.replace(",", " ").split()
    return tuple(sorted(word for word in words if word.endswith((":on", ":off"))))


def _flag(text: str | None) -> bool | None:
    return {"yes": True, "no": False}.get((text or "").lower())


def _number(text: str | None) -> int | None:
    """Return a setting of which 0 means that it is not set."""
    return amount(parse_decimal(text or "", digits=19)) or None


def _read_names(host: HostFS) -> dict[str, str] | None:
    try:
        entries = host.root.listdir(_NAMES, _MOST)
    except HostReadError:
        return None
    found: dict[str, str] = {}
    for name in sorted(entries):
        ctid = ctid_of_link(_link(host, f"{_NAMES}/{name}"))
        if ctid:
            found.setdefault(ctid, name)
    return found


def ctid_of_link(target: str) -> str:
    """Return whose configuration a link in /etc/vz/names leads to, "" for nobody's.

    It is ``/etc/vz/conf/101.conf``, or on 7 ``/vz/private/<UUID>/ve.conf``.
    """
    above, _, last = target.rpartition("/")
    ctid = above.rpartition("/")[2] if last == "ve.conf" else last.removesuffix(".conf")
    return ctid if is_ctid(ctid) else ""


def _link(host: HostFS, path: str) -> str:
    try:
        return host.root.readlink(path)
    except HostReadError:
        return _link_text(_text(host, path))


def _link_text(text: str) -> str:
    """Return the path that a file holds instead of being a link to it, "" if it does not.

    So does a tree that went through a checkout or an archive without symbolic links.
    """
    path = text.strip()
    return path if path.startswith("/") and path.endswith(".conf") and "\n" not in path else ""


def _text(host: HostFS, path: str) -> str:
    try:
        return host.root.read_text(path, _FILE_LIMIT)
    except HostReadError:
        return ""
