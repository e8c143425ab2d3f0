"""Names of block devices by their numbers, as sysfs has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.hostfs import Dir

_KEPT = 1024


class Devices:
    """Remembers names, which do not change while a device is there."""

    def __init__(self, sys: Dir) -> None:
        self._sys = sys
        self._names: dict[str, str] = {}

    def name(self, number: str) -> str:
        """Return ``/dev/vda`` for ``254:0``; the number itself where sysfs does not know it."""
        known = self._names.get(number)
        if known is None:
            if len(self._names) >= _KEPT:
                self._names.clear()
            known = self._names[number] = self._read(number)
        return known

    def _read(self, number: str) -> str:
        try:
            lines = self._sys.read_text(f"dev/block/{number}/uevent", 65536).split("\n")
        except HostReadError:
            return number
        for line in lines:
            key, _, value = line.partition("=")
            if key == "DEVNAME":
                return f"/dev/{value}"
        return number
