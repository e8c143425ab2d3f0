"""Whether this host is a node of OpenVZ, and where a node keeps its containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.openvz.parameters import parse_parameters
from collectors.hostfs import HostReadError
from collectors.kernel.virtualization import inside_openvz

if TYPE_CHECKING:
    from collectors.hostfs import HostFS

_GLOBAL = "etc/vz/vz.conf"
_FILE_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where a node keeps its containers, vz.conf(5); with ``$VEID`` for the CTID."""

    root: str = "/vz/root/$VEID"
    private: str = "/vz/private/$VEID"
    dump: str = "/vz/dump"


def has_kernel(host: HostFS) -> bool:
    """Return whether the kernel is OpenVZ's, which is so on a node and inside its containers."""
    return host.proc.exists("vz")


def is_node(host: HostFS) -> bool:
    """Return whether this is the kernel of an OpenVZ node, seen from the host."""
    return has_kernel(host) and not inside_openvz(host)


def read_paths(host: HostFS) -> Paths:
    """Read the paths of a node; the defaults where they are not configured."""
    try:
        return parse_paths(host.root.read_text(_GLOBAL, _FILE_LIMIT))
    except HostReadError:
        return Paths()


def parse_paths(text: str) -> Paths:
    """Parse the directories in /etc/vz/vz.conf."""
    parameters = parse_parameters(text)
    default = Paths()
    return Paths(
        root=parameters.get("VE_ROOT") or default.root,
        private=parameters.get("VE_PRIVATE") or default.private,
        dump=parameters.get("DUMPDIR") or default.dump,
    )


def expand(path: str, ctid: str) -> str:
    """Replace ``$VEID`` in a path by the CTID."""
    return path.replace("${VEID}", ctid).replace("$VEID", ctid)
