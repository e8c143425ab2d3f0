"""The configuration of containers: /etc/vz/conf/<CTID>.conf, ctid.conf(5).

On 7 these files are symbolic links into the private areas, which need not be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.engines.openvz.discovery import Paths, expand, read_paths
from collectors.engines.openvz.names import read_names, target_in
from collectors.engines.openvz.parameters import parse_number, parse_parameters, parse_range
from collectors.engines.openvz.units import BLOCK, LAYOUTS, addresses, flag, is_ctid, template
from collectors.facts import Beancounter, OpenvzFacts
from collectors.hostfs import Gone, HostReadError
from collectors.kernel.beancounters import unit_of

if TYPE_CHECKING:
    from collectors.hostfs import HostFS

_DIRECTORY = "etc/vz/conf"
_FILE_LIMIT = 64 << 10
_MOST = 50_000
"""Most containers whose configuration is read."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """The configuration of one container."""

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
    paths: Paths = field(default_factory=Paths)
    changed: float | None = None
    """When a file was last added or removed; None where the directory cannot be read."""

    def lacks(self, ctid: str) -> bool:
        """Return whether a container certainly has no configuration."""
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
        self._cache: dict[str, tuple[tuple[int, ...], Configured]] = {}

    def changed(self, host: HostFS) -> float | None:
        """Return when a file was last added or removed; None where the directory cannot be read."""
        try:
            return host.root.stat(_DIRECTORY).st_mtime
        except HostReadError:
            return None

    def read(self, host: HostFS, *, full: bool = True) -> Configuration:
        """Read it; a light pass (``full=False``) reads only files that are new."""
        paths = read_paths(host)
        try:
            names = host.root.listdir(_DIRECTORY, _MOST)
            changed = host.root.stat(_DIRECTORY).st_mtime
        except HostReadError:
            self._cache = {}
            return Configuration(paths=paths)
        ctids = [name.removesuffix(".conf") for name in names if name.endswith(".conf")]
        entries = {}
        for ctid in filter(is_ctid, ctids):
            entry = self._cache.get(ctid) if not full else None
            entry = entry or self._read(host, ctid, paths)
            if entry is not None:
                entries[ctid] = entry
        self._cache = entries
        return Configuration(
            containers={ctid: configured for ctid, (_, configured) in entries.items()},
            names=read_names(host),
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
            cached = self._cache.get(ctid)
            if cached is not None and cached[0] == stamp:
                return cached
            text = host.root.read_text(path, _FILE_LIMIT)
            target = target_in(text)
            if target:
                text = host.root.read_text(target, _FILE_LIMIT)
        except Gone:
            # A link into a private area that is not there: destroyed, or not mounted.
            return None
        except HostReadError:
            return (), Configured(facts=OpenvzFacts(ctid=ctid))
        return stamp, parse_container(ctid, text, paths, status.st_ctime)


def parse_container(ctid: str, text: str, paths: Paths, changed: float = 0.0) -> Configured:
    """Parse a container's configuration; leave out parameters that make no sense."""
    values = parse_parameters(text)
    space, inodes = parse_range(values, "DISKSPACE", BLOCK), parse_range(values, "DISKINODES")
    swap = parse_range(values, "SWAPPAGES", unit_of("swappages"))
    configured = addresses([*values.get("IP_ADDRESS", "").split(), *_veth_addresses(values)])
    limit = parse_number(values.get("CPULIMIT", "").removesuffix("%"))
    facts = OpenvzFacts(
        ctid=ctid,
        ostemplate=template(values.get("OSTEMPLATE", "")),
        configured_addresses=configured,
        onboot=flag(values.get("ONBOOT", "")),
        layout=LAYOUTS.get(values.get("VE_LAYOUT", ""), ""),
        beancounters=tuple(_counters(values)),
        disk_soft_bytes=space.barrier or None,
        disk_hard_bytes=space.limit or None,
        inodes_soft=inodes.barrier or None,
        inodes_hard=inodes.limit or None,
        cpu_limit_ratio=limit / 100 if limit else None,
        cpu_units=parse_number(values.get("CPUUNITS", "")),
        cpus=parse_number(values.get("CPUS", "")),
        swap_limit_bytes=swap.limit,
        io_limit_bytes_per_second=parse_range(values, "IOLIMIT").limit or None,
        io_limit_operations_per_second=parse_number(values.get("IOPSLIMIT", "")),
    )
    return Configured(
        facts=facts,
        name=values.get("NAME", ""),
        hostname=values.get("HOSTNAME", ""),
        root=expand(values.get("VE_ROOT") or paths.root, ctid),
        private=expand(values.get("VE_PRIVATE") or paths.private, ctid),
        changed=changed,
    )


def _counters(values: Mapping[str, str]) -> list[Beancounter]:
    counters = []
    for key in _COUNTERS:
        if key in values:
            name = key.lower()
            barrier, limit = parse_range(values, key, unit_of(name))
            counters.append(Beancounter(resource=name, barrier=barrier, limit=limit))
    return counters


def _veth_addresses(values: Mapping[str, str]) -> list[str]:
    """Return the addresses of virtual Ethernet devices: NETIF="ifname=eth0,...,ip=ADDRESS/MASK"."""
    words = values.get("NETIF", "").replace(";", ",").split(",")
    return [word.removeprefix("ip=") for word in words if word.startswith("ip=")]
