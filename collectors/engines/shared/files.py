"""Engines' files: parsed again only when they changed, their age, and where users' own lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from collectors.formats.documents import JsonObject, parse_object
from collectors.formats.numbers import parse_decimal
from collectors.hostfs import HostReadError, or_none
from collectors.syscalls import birth_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors.contract import Context
    from collectors.hostfs import Dir

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

CONFIG_LIMIT = 4 << 20
"""Largest bundle, state or container file of an engine that is read, in bytes."""

_OLDEST = 5
"""Processes of a user that are asked for his home: his session's manager is the first."""

_Stamp = tuple[int, int, int, int, int]


class FileCache(Generic[T]):
    """The parsed content of files, kept while device, inode, size and both times stay the same.

    Engines write a new file and rename it over the old one, or touch its times, so a change
    always shows in these. ``load`` reads and parses one file; None means that it does not parse.
    """

    def __init__(self, load: Callable[[Dir, str], T | None]) -> None:
        self._load = load
        self._kept: dict[tuple[int, int], tuple[_Stamp, T | None]] = {}
        self._requested: set[tuple[int, int]] = set()

    def get(self, directory: Dir, name: str) -> T | None:
        """Return the parsed content of a file; None when it does not parse, which is counted once.

        Raises HostReadError as ``Dir.read`` does.
        """
        status = directory.stat(name)
        file = (status.st_dev, status.st_ino)
        stamp = (*file, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        self._requested.add(file)
        kept = self._kept.get(file)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        value = self._load(directory, name)
        if value is None:
            directory.malformed(name, "not in its engine's format")
        self._kept[file] = (stamp, value)
        return value

    def sweep(self) -> None:
        """Forget the files that were not asked for since the last sweep."""
        self._kept = {file: kept for file, kept in self._kept.items() if file in self._requested}
        self._requested.clear()


def remember(kept: dict[K, V], key: K, value: V, *, most: int) -> None:
    """Keep a value, as the newest of at most so many; the one that is the oldest is forgotten."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > most:
        del kept[next(iter(kept))]


def parsed(
    parse: Callable[[bytes], T | None], limit: int = CONFIG_LIMIT
) -> Callable[[Dir, str], T | None]:
    """Make a loader for ``FileCache`` out of a parser of bytes."""
    return lambda directory, name: parse(directory.read(name, limit))


def read_object(directory: Dir, name: str) -> JsonObject | None:
    """Read a file that holds one JSON object; None when it does not."""
    return parse_object(directory.read(name, CONFIG_LIMIT))


def made_at(parent: Dir, path: str) -> float | None:
    """Return when the directory ``path`` was made, in seconds since the epoch.

    Its birth time, which nothing changes; on a filesystem that keeps none the time of its last
    change, which is never before that. None when it cannot be looked at.
    """
    try:
        with parent.open_dir(path) as directory:
            return _birth_time(directory.fd) or directory.stat().st_ctime
    except HostReadError:
        return None


def _birth_time(fd: int) -> float | None:
    try:
        return birth_time(fd)
    except OSError:  # a kernel or libc older than statx(2)
        return None


def home_of(ctx: Context, uid: int) -> str:
    """Return the home directory of a user, also of one from LDAP or systemd-homed; "" unknown.

    Whom /etc/passwd does not list, his oldest processes tell. They may say anything: what lies
    there must be his own. To read them may block the caller.
    """
    home = homes(ctx).get(uid, "")
    if home:
        return home
    his = sorted((p for p in ctx.processes if p.uid == uid), key=lambda p: p.id.start_ticks)
    for process in his[:_OLDEST]:
        environment = or_none(ctx.host.proc.read, f"{process.pid}/environ") or b""
        for entry in environment.split(b"\0"):
            if entry.startswith(b"HOME=/"):
                return entry.removeprefix(b"HOME=").decode("utf-8", "replace")
    return ""


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
