from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from collectors.facts import FileId, FilesystemUsage, HostFacts, Mount
from collectors.hostfs import HostFS
from collectors.kernel.filesystem import (
    read_container_filesystem,
    read_host_filesystems,
    read_host_mounts,
    upper_directory,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("proc/1", "proc/7", "sys", "data/layers/x/diff"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "proc/7/root").symlink_to(tmp_path / "data")
    (tmp_path / "proc/1/mountinfo").write_text(
        "1 0 254:0 / / rw - ext4 /dev/root rw\n"
        "2 1 254:1 / /data rw - xfs /dev/vdb1 rw\n"
        "3 1 254:1 /sub /data/sub rw - xfs /dev/vdb1 rw\n"
        "4 1 0:5 / /proc rw - proc proc rw\n"
        "5 1 7:1 / /snap rw - squashfs /dev/loop1 rw\n"
        "6 1 0:44 / /fuse rw - fuse.sshfs somebody@else rw\n"
        "7 1 254:9 / /nowhere rw - ext4 /dev/gone rw\n"
        "8 1 182:1 / /data/layers rw - ext4 /dev/ploop1p1 rw\n"
    )
    return tmp_path


def door(tree: Path) -> HostFS:
    return HostFS(str(tree / "proc"), str(tree / "sys"), str(tree))


def mount(**more: object) -> Mount:
    facts: dict[str, object] = {
        "device": FileId(os.makedev(254, 1), 0),
        "root": "/",
        "target": "/",
        "fstype": "xfs",
        "source": "/dev/vdb1",
        "options": "rw",
    }
    return Mount(**(facts | more))  # type: ignore[arg-type]


FACTS = HostFacts(root=FileId(os.makedev(254, 0), 2))


def usage_in(tree: Path, mounts: list[Mount], pid: int = 7) -> FilesystemUsage | None:
    """Return what is known of the filesystem of a process that sees these mounts."""
    host = door(tree)
    return read_container_filesystem(host, FACTS, pid, mounts, lambda: read_host_mounts(host))


def test_local_filesystems_of_the_host_each_once(tree: Path) -> None:
    found = read_host_filesystems(door(tree))
    assert [usage.device for usage in found] == ["/dev/root", "/dev/vdb1"]
    status = os.statvfs(tree)
    for usage in found:
        assert usage.limit_bytes == status.f_blocks * status.f_frsize
        assert usage.used_bytes is not None
        assert 0 < usage.used_bytes <= usage.limit_bytes
        assert usage.inodes == status.f_files


def test_a_disk_of_its_own_is_used_by_the_container_alone(tree: Path) -> None:
    usage = usage_in(tree, [mount()])
    assert usage is not None
    assert usage.device == "/dev/vdb1"
    assert usage.used_bytes is not None


@pytest.mark.parametrize(
    "root",
    [
        mount(root="/var/lib/lxc/x/rootfs"),
        mount(device=FileId(os.makedev(254, 0), 0)),
        mount(fstype="overlay", options="rw,lowerdir=/a:/b,upperdir=/data/layers/x/diff"),
    ],
)
def test_of_a_filesystem_that_others_fill_only_the_size_is_known(tree: Path, root: Mount) -> None:
    usage = usage_in(tree, [root])
    assert usage is not None
    assert usage.limit_bytes is not None
    assert usage.used_bytes is None
    assert usage.inodes is None


def test_a_project_quota_shows_in_the_size(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """xfs and ext4 answer statfs below a directory with a quota by the quota, statfs(2)."""
    quota = os.statvfs_result((4096, 4096, 1000, 400, 400, 500, 450, 450, 0, 255))
    monkeypatch.setattr("collectors.kernel.filesystem.os.fstatvfs", lambda _: quota)
    root = mount(fstype="overlay", options="rw,lowerdir=/a,upperdir=/data/layers/x/diff")
    usage = usage_in(tree, [root])
    assert usage is not None
    assert (usage.limit_bytes, usage.used_bytes) == (1000 * 4096, 600 * 4096)
    assert (usage.inodes, usage.inodes_used) == (500, 50)


def test_a_dataset_has_numbers_of_its_own(tree: Path) -> None:
    dataset = mount(fstype="zfs", root="/", source="tank/ct/101")
    usage = usage_in(tree, [dataset])
    assert usage is not None
    assert usage.device == "tank/ct/101"
    assert usage.used_bytes is not None


@pytest.mark.parametrize(
    "mounts",
    [
        [],
        [mount(target="/proc")],
        [mount(fstype="fuse.x")],
        [mount(fstype="nfs4")],
        [mount(fstype="overlay", options="lowerdir=/a:/b")],
        [mount(fstype="overlay", options="upperdir=/proc/../x")],
        [mount(fstype="overlay", options="upperdir=relative")],
        [mount(fstype="overlay", options="upperdir=/fuse/x/diff")],
    ],
)
def test_what_a_stranger_or_a_network_serves_is_not_asked(tree: Path, mounts: list[Mount]) -> None:
    assert usage_in(tree, mounts) is None


def test_the_last_root_mount_counts(tree: Path) -> None:
    below, above = mount(fstype="tmpfs"), mount()
    assert usage_in(tree, [below, above]) is not None


def test_a_process_that_is_gone_has_no_filesystem(tree: Path) -> None:
    assert usage_in(tree, [mount()], pid=8) is None


def test_the_upper_directory() -> None:
    options = "rw,lowerdir=/l1:/l2,upperdir=/u/diff,workdir=/u/work"
    assert upper_directory(mount(fstype="overlay", options=options)) == "/u/diff"
    assert upper_directory(mount(options=options)) == ""
