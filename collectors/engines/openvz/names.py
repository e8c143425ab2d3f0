"""The names of containers: links in /etc/vz/names to their configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.engines.openvz.units import is_ctid
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.hostfs import HostFS

_NAMES = "etc/vz/names"
_FILE_LIMIT = 64 << 10
_MOST = 50_000
"""Most names that are read."""


def read_names(host: HostFS) -> dict[str, str] | None:
    """Return the names by CTID; None where the directory cannot be read."""
    try:
        entries = host.root.listdir(_NAMES, _MOST)
    except HostReadError:
        return None
    names: dict[str, str] = {}
    for name in sorted(entries):
        ctid = ctid_of_link(_link(host, f"{_NAMES}/{name}"))
        if ctid:
            names.setdefault(ctid, name)
    return names


def ctid_of_link(target: str) -> str:
    """Return the CTID whose configuration a link in /etc/vz/names leads to, "" for none.

    It is ``/etc/vz/conf/101.conf``, or on 7 ``/vz/private/<UUID>/ve.conf``.
    """
    above, _, last = target.rpartition("/")
    ctid = above.rpartition("/")[2] if last == "ve.conf" else last.removesuffix(".conf")
    return ctid if is_ctid(ctid) else ""


def _link(host: HostFS, path: str) -> str:
    try:
        return host.root.readlink(path)
    except HostReadError:
        return target_in(_text(host, path))


def target_in(text: str) -> str:
    """Return the path in a file that replaces a link, "" if it holds something else.

    Links become such files in a checkout or an archive without symbolic links.
    """
    path = text.strip()
    return path if path.startswith("/") and path.endswith(".conf") and "\n" not in path else ""


def _text(host: HostFS, path: str) -> str:
    try:
        return host.root.read_text(path, _FILE_LIMIT)
    except HostReadError:
        return ""
