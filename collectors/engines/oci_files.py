"""Engines' files that are read again and again, and parsed only when they changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from collectors.engines.oci_json import JsonObject, parse_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors.hostfs import Dir

T = TypeVar("T")

CONFIG_LIMIT = 4 << 20
"""Largest bundle, state or container file of an engine that is read, in bytes."""

_Mark = tuple[int, int, int, int, int]


class FileCache(Generic[T]):
    """What files parse to, kept while device, inode, size and both times stay the same.

    Engines write a new file and rename it over the old one, so a change always shows in these.
    """

    def __init__(self, parse: Callable[[bytes], T | None], limit: int = CONFIG_LIMIT) -> None:
        self._parse = parse
        self._limit = limit
        self._kept: dict[tuple[int, int], tuple[_Mark, T | None]] = {}
        self._used: set[tuple[int, int]] = set()

    def get(self, directory: Dir, name: str) -> T | None:
        """Give what a file holds; None when it does not parse, which is counted once.

        Raises HostReadError as ``Dir.read`` does.
        """
        status = directory.stat(name)
        file = (status.st_dev, status.st_ino)
        mark = (*file, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        self._used.add(file)
        kept = self._kept.get(file)
        if kept is not None and kept[0] == mark:
            return kept[1]
        value = self._parse(directory.read(name, self._limit))
        if value is None:
            directory.malformed(name, "not as its engine writes it")
        self._kept[file] = (mark, value)
        return value

    def sweep(self) -> None:
        """Forget the files that nobody asked for since the last sweep."""
        self._kept = {file: kept for file, kept in self._kept.items() if file in self._used}
        self._used.clear()


def json_cache(limit: int = CONFIG_LIMIT) -> FileCache[JsonObject]:
    """Give a cache of files that hold one JSON object each."""
    return FileCache(parse_object, limit)
