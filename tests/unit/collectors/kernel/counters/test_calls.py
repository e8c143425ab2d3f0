from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from collectors.kernel.counters import calls

if TYPE_CHECKING:
    from pathlib import Path

BOTH = pytest.mark.parametrize("way", [calls.RELEASES_GIL, calls.HOLDS_GIL])


@BOTH
def test_both_read_the_same_and_raise_the_same(tmp_path: Path, way: calls.Calls) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 10_000)
    directory = os.open(tmp_path, os.O_PATH)
    assert way.read_at("file", directory) == b"x" * 10_000
    assert way.read_records_at("file", directory) == b"x" * 10_000
    with pytest.raises(FileNotFoundError):
        way.open("none", directory)
    with pytest.raises(OSError, match="descriptor"):
        way.pread(1 << 20)
    os.close(directory)


@BOTH
def test_pread_starts_over_and_read_goes_on(tmp_path: Path, way: calls.Calls) -> None:
    (tmp_path / "file").write_bytes(b"y" * (calls.BUFFER + 5))
    directory = os.open(tmp_path, os.O_PATH)
    fd = way.open("file", directory)
    assert len(way.pread(fd)) == calls.BUFFER
    assert len(way.pread(fd)) == calls.BUFFER
    assert [len(way.read(fd)) for _ in range(3)] == [calls.BUFFER, 5, 0]
    way.close(fd)
    with pytest.raises(OSError, match="descriptor"):
        way.read(fd)
    os.close(directory)


@BOTH
def test_a_file_of_records_is_read_until_a_short_page(tmp_path: Path, way: calls.Calls) -> None:
    pages = iter([b"a" * 4000, b"b" * 3100, b"c" * 100, b"never read"])
    (tmp_path / "file").touch()
    directory = os.open(tmp_path, os.O_PATH)
    paged = way._replace(read=lambda _: next(pages))
    assert paged.read_records_at("file", directory) == b"a" * 4000 + b"b" * 3100 + b"c" * 100
    os.close(directory)


def test_threads_that_hold_the_lock_have_a_buffer_each(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"theirs")
    directory = os.open(tmp_path, os.O_PATH)
    read: list[bytes] = []

    def work() -> None:
        read.append(calls.HOLDS_GIL.read_at("file", directory))

    (tmp_path / "own").write_bytes(b"of this thread")
    ours = calls.HOLDS_GIL.read_at("own", directory)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert (ours, read) == (b"of this thread", [b"theirs"])
    os.close(directory)
