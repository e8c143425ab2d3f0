"""The state on disk of containers that do not run: mounted, suspended, stopped, or not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.engines.openvz.units import LAYOUTS
from collectors.hostfs import Gone, HostReadError

if TYPE_CHECKING:
    from collectors.engines.openvz.config import Configured
    from collectors.engines.openvz.discovery import Paths
    from collectors.hostfs import HostFS

_MOUNTS_LIMIT = 16 << 20


class Storage:
    """Private areas and mounts, at one moment."""

    def __init__(self, host: HostFS, paths: Paths) -> None:
        self._host = host
        self._root = host.root
        self._dump = paths.dump
        self._mounted: frozenset[str] | None = None

    def status(self, configured: Configured) -> str | None:
        """Return the status of a container that does not run, in vzlist's words.

        None: there is no private area, so there is nothing to start, and vzlist leaves it out.
        """
        ctid, private = configured.facts.ctid, configured.private
        if configured.root and configured.root in self._mounts():
            return "mounted"
        if private and self._is_gone(private):
            return None
        dumps = [f"{self._dump}/Dump.{ctid}"]
        if private:
            dumps += [f"{private}/dump/Dump", f"{private}/dump/Dump.{ctid}"]
        return "suspended" if any(self._root.exists(dump) for dump in dumps) else "stopped"

    def layout(self, private: str) -> str:
        """Return the layout of a private area, "" where it cannot be seen.

        7 has it as a number in the link .ve.layout; on 6 there is a disk image or not.
        """
        if not private or not self._root.exists(private):
            return ""
        number = self._link(f"{private}/.ve.layout")
        if number:
            return LAYOUTS.get(number, "")
        is_ploop = self._root.exists(f"{private}/root.hdd/DiskDescriptor.xml")
        return "ploop" if is_ploop else "simfs"

    def created(self, private: str, configured: Configured | None) -> float | None:
        """Return when a container was made: the earliest inode change of its oldest parts.

        Nothing can set that time back.
        """
        times = [configured.changed] if configured and configured.changed else []
        if private:
            for path in (private, f"{private}/root.hdd", f"{private}/.ve.layout"):
                try:
                    times.append(self._root.stat(path, follow=False).st_ctime)
                except HostReadError:
                    continue
        return min(times, default=None)

    def _is_gone(self, path: str) -> bool:
        try:
            self._root.stat(path)
        except Gone:
            return True
        except HostReadError:
            return False
        return False

    def _link(self, path: str) -> str:
        try:
            return self._root.readlink(path)
        except HostReadError:
            pass
        try:
            return self._root.read_text(path, 16).strip()
        except HostReadError:
            return ""

    def _mounts(self) -> frozenset[str]:
        """Return the mount points of the host, proc_pid_mountinfo(5)."""
        if self._mounted is None:
            self._mounted = frozenset(self._read_mounts("1/mountinfo", 4)) or frozenset(
                self._read_mounts("mounts", 1)
            )
        return self._mounted

    def _read_mounts(self, path: str, column: int) -> list[str]:
        try:
            text = self._host.proc.read_text(path, _MOUNTS_LIMIT)
        except HostReadError:
            return []
        rows = (line.split(" ") for line in text.split("\n"))
        return [row[column] for row in rows if len(row) > column]
