from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hosts.archive import Archive, load

if TYPE_CHECKING:
    from pathlib import Path


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1),
        st.tuples(st.binary(), st.integers(0, 1 << 33)),
    )
)
def test_what_was_dumped_is_loaded(files: dict[str, tuple[bytes, int]]) -> None:
    archive = Archive(files=dict(files))

    assert load(archive.dump()).files == files


def test_equal_files_stand_once() -> None:
    archive = Archive()
    archive.add("proc/1/mountinfo", b"24 1 8:1 / / rw - ext4 /dev/sda1 rw\n" * 10)
    archive.add("proc/2/mountinfo", b"24 1 8:1 / / rw - ext4 /dev/sda1 rw\n" * 10)

    text = archive.dump()

    assert "= proc/2/mountinfo proc/1/mountinfo\n" in text
    assert load(text) == archive


def test_links_and_times_survive_unpacking(tmp_path: Path) -> None:
    archive = Archive()
    archive.links["proc/7/ns/mnt"] = "mnt:[4026531841]"
    archive.directories["sys/fs/cgroup/empty"] = None
    archive.add("proc/7/cmdline", b"sh\0-c\0a b\\x00\0")
    archive.add("root/etc/hostname", b"here\n", 1_700_000_000)

    load(archive.dump()).unpack(tmp_path)

    assert os.readlink(tmp_path / "proc/7/ns/mnt") == "mnt:[4026531841]"
    assert (tmp_path / "sys/fs/cgroup/empty").is_dir()
    assert (tmp_path / "proc/7/cmdline").read_bytes() == b"sh\0-c\0a b\\x00\0"
    assert (tmp_path / "root/etc/hostname").stat().st_mtime == 1_700_000_000


def test_other_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="not an entry"):
        load("x proc/1/stat\n")
