"""Names of block devices by their numbers, as sysfs has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.hostfs import or_none

if TYPE_CHECKING:
    from collectors.hostfs import Dir

_KEPT = 1024


class Devices:
    """Keeps the names, which do not change while a device exists."""

    def __init__(self, sys: Dir) -> None:
        self._sys = sys
        self._names: dict[str, str] = {}

    def name(self, number: str) -> str:
        """Return ``/dev/vda`` for ``254:0``; the number itself where sysfs does not know it."""
        name = self._names.get(number)
        if name is None:
            if len(self._names) >= _KEPT:
                self._names.clear()
            name = self._names[number] = self._read(number)
        return name

    def _read(self, number: str) -> str:
        uevent = or_none(self._sys.read_text, f"dev/block/{number}/uevent", 65536) or ""
        for line in uevent.split("\n"):
            key, _, value = line.partition("=")
            if key == "DEVNAME":
                return f"/dev/{value}"
        return number
