"""Engines' files that are read again and again, and parsed only when they changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from collectors.formats.documents import JsonObject, parse_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors.hostfs import Dir

T = TypeVar("T")

CONFIG_LIMIT = 4 << 20
"""Largest bundle, state or container file of an engine that is read, in bytes."""

_Mark = tuple[int, int, int, int, int]


class FileCache(Generic[T]):
    """What files hold, kept while device, inode, size and both times stay the same.

    Engines write a new file and rename it over the old one, or touch its times, so a change
    always shows in these. ``load`` reads and parses one file; None means that it does not parse.
    """

    def __init__(self, load: Callable[[Dir, str], T | None]) -> None:
        self._load = load
        self._kept: dict[tuple[int, int], tuple[_Mark, T | None]] = {}
        self._used: set[tuple[int, int]] = set()

    def get(self, directory: Dir, name: str) -> T | None:
        """Return what a file holds; None when it does not parse, which is counted once.

        Raises HostReadError as ``Dir.read`` does.
        """
        status = directory.stat(name)
        file = (status.st_dev, status.st_ino)
        mark = (*file, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        self._used.add(file)
        kept = self._kept.get(file)
        if kept is not None and kept[0] == mark:
            return kept[1]
        value = self._load(directory, name)
        if value is None:
            directory.malformed(name, "not as its engine writes it")
        self._kept[file] = (mark, value)
        return value

    def sweep(self) -> None:
        """Forget the files that nobody asked for since the last sweep."""
        self._kept = {file: kept for file, kept in self._kept.items() if file in self._used}
        self._used.clear()


def parsed(
    parse: Callable[[bytes], T | None], limit: int = CONFIG_LIMIT
) -> Callable[[Dir, str], T | None]:
    """Make a loader for ``FileCache`` out of a parser of bytes."""
    return lambda directory, name: parse(directory.read(name, limit))


def read_object(directory: Dir, name: str) -> JsonObject | None:
    """Read a file that holds one JSON object; None when it does not."""
    return parse_object(directory.read(name, CONFIG_LIMIT))
