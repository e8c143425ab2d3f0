"""Users of the host, as rootless engines need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.formats.numbers import parse_decimal
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.contract import Context


def homes(ctx: Context) -> dict[int, str]:
    """Return the home directory of every user whom /etc/passwd lists, passwd(5)."""
    try:
        lines = ctx.host.root.read_text("/etc/passwd").splitlines()
    except HostReadError:
        return {}
    fields = (line.split(":") for line in lines)
    return {
        uid: f[5]
        for f in fields
        if len(f) >= 7 and (uid := parse_decimal(f[2])) is not None and f[5].startswith("/")
    }
