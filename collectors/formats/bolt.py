"""A reader of bbolt databases, in which podman (before 4.8) and containerd keep their containers.

The format is that of https://github.com/etcd-io/bbolt (page.go, bucket.go, db.go): pages with a
B+tree, two meta pages of which the newer whole one counts, and pages that are never written over
while the newest tree holds them. So a copy of the whole file is a consistent picture as long as
no second transaction ended while it was made. No lock is taken, so the engine is never delayed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

DATABASE_LIMIT = 64 << 20
"""Largest database that is read, in bytes."""

_MAGIC = 0xED0CDAED
_VERSION = 2
_META = struct.Struct(
    "<IIIIQQQQQQ"
)  # magic version pagesize flags root sequence free pages txid sum
_META_AT = 16  # behind the page header
_PAGE = struct.Struct("<QHHI")  # id flags count overflow
_LEAF = struct.Struct("<IIII")  # flags position keysize valuesize
_BRANCH = struct.Struct("<IIQ")  # position keysize page
_BUCKET = struct.Struct("<QQ")  # root sequence
_BRANCH_PAGE, _LEAF_PAGE = 0x01, 0x02
_IS_BUCKET = 0x01
_EMPTY_PAGE = bytes(_PAGE.size)
_DEPTH_LIMIT = 32
_ATTEMPTS = 3


class BoltError(ValueError):
    """The file is not a bbolt database, or a damaged one."""


@dataclass(slots=True)
class _File:
    data: bytes
    page_size: int
    budget: int
    """Bytes of entries that may still be read: the tree of a forged file can be a circle, and its
    entries can overlap."""
    entries: int
    """Entries that may still be read: one without key and value is as much work as another."""

    def place(self, page: int) -> int:
        """Return where a page begins. Raises BoltError where there is none of that number."""
        if page * self.page_size >= len(self.data):
            raise BoltError("a page is missing")
        return page * self.page_size


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket: names to values, or to buckets below it. Reading it may raise BoltError."""

    _file: _File
    _data: bytes
    _at: int

    def __iter__(self) -> Iterator[tuple[str, bytes | Bucket]]:
        """Iterate over names and what they hold, in the order of the keys."""
        return self._walk(self._data, self._at, 0)

    def bucket(self, *path: str) -> Bucket:
        """Return a bucket below this one; an empty one where there is none."""
        current = self
        for name in path:
            child = next((value for key, value in current if key == name), None)
            if not isinstance(child, Bucket):
                return Bucket(self._file, _EMPTY_PAGE, 0)
            current = child
        return current

    def buckets(self) -> Iterator[tuple[str, Bucket]]:
        """Return the buckets directly below this one."""
        return ((name, value) for name, value in self if isinstance(value, Bucket))

    def values(self) -> dict[str, bytes]:
        """Return the values directly in this bucket by name."""
        return {name: value for name, value in self if isinstance(value, bytes)}

    def _walk(self, data: bytes, at: int, depth: int) -> Iterator[tuple[str, bytes | Bucket]]:
        if depth > _DEPTH_LIMIT:
            raise BoltError("its tree is too deep")
        try:
            _, flags, count, _ = _PAGE.unpack_from(data, at)
            for index in range(count):
                entry = at + _PAGE.size + index * 16
                self._spend(16)
                self._file.entries -= 1
                if flags & _BRANCH_PAGE:
                    _, _, page = _BRANCH.unpack_from(data, entry)
                    yield from self._walk(self._file.data, self._file.place(page), depth + 1)
                elif flags & _LEAF_PAGE:
                    yield self._leaf(data, entry)
        except struct.error as error:
            raise BoltError("a page is cut off") from error

    def _spend(self, size: int) -> None:
        self._file.budget -= size
        if self._file.budget < 0 or self._file.entries < 0:
            raise BoltError("its tree has no end")

    def _leaf(self, data: bytes, entry: int) -> tuple[str, bytes | Bucket]:
        kind, position, key_size, value_size = _LEAF.unpack_from(data, entry)
        self._spend(key_size + value_size)
        start = entry + position
        key = data[start : start + key_size].decode("utf-8", "replace")
        value = data[start + key_size : start + key_size + value_size]
        if not kind & _IS_BUCKET:
            return key, value
        root, _ = _BUCKET.unpack_from(value)
        if root == 0:
            # Small buckets stand in the page of their parent, as a page behind their header.
            return key, Bucket(self._file, value, _BUCKET.size)
        return key, Bucket(self._file, self._file.data, self._file.place(root))


def parse_bolt(data: bytes) -> Bucket:
    """Return the topmost bucket of a database that is in memory. Raises BoltError."""
    _, root, page_size = _newest_meta(data)
    file = _File(data, page_size, (1 << 20) + len(data) * 16, 10_000 + len(data) // 16)
    return Bucket(file, data, file.place(root))


class Files(Protocol):
    """Where a database is read from: a directory of the host, or of a test."""

    def read(self, relative: str, limit: int) -> bytes:
        """Read a whole file of at most ``limit`` bytes."""
        ...

    def read_head(self, relative: str, size: int) -> bytes:
        """Read the first ``size`` bytes of a file."""
        ...


def read_bolt(files: Files, name: str, limit: int = DATABASE_LIMIT) -> Bucket:
    """Read a database of at most ``limit`` bytes as a whole.

    Raises BoltError, and whatever ``files`` raises.
    """
    for _ in range(_ATTEMPTS):
        data = files.read(name, limit)
        transaction, _, page_size = _newest_meta(data)
        now, _, _ = _newest_meta(files.read_head(name, 2 * page_size))
        if now - transaction <= 1:
            return parse_bolt(data)
    raise BoltError("it changes faster than it can be read")


def _newest_meta(data: bytes) -> tuple[int, int, int]:
    """Return transaction, root page and page size out of the newer of the two meta pages."""
    first = _meta(data, 0)
    # The second one begins with the second page, whose size the first one tells if it is whole.
    sizes = [first[2]] if first is not None else [1 << shift for shift in range(10, 17)]
    metas = [first, *(_meta(data, size) for size in sizes)]
    whole = [meta for meta in metas if meta is not None]
    if not whole:
        raise BoltError("no whole meta page")
    return max(whole)


def _meta(data: bytes, at: int) -> tuple[int, int, int] | None:
    raw = data[at + _META_AT : at + _META_AT + _META.size]
    if len(raw) < _META.size:
        return None
    magic, version, page_size, _, root, _, _, _, transaction, checksum = _META.unpack(raw)
    if magic != _MAGIC or version != _VERSION or not 512 <= page_size <= 1 << 16:
        return None
    return (transaction, root, page_size) if _fnv1a(raw[:-8]) == checksum else None


def _fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return value
