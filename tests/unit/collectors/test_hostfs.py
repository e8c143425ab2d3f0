from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from collectors.hostfs import Denied, Gone, HostFS, Malformed, Tally, or_none, path_class


@pytest.fixture
def host(tmp_path: Path) -> HostFS:
    for name in ("proc", "sys", "root"):
        (tmp_path / name).mkdir()
    return HostFS(*(str(tmp_path / name) for name in ("proc", "sys", "root")))


@pytest.fixture
def stranger(host: HostFS, tmp_path: Path) -> Path:
    """A container's root, as /proc/7/root; nobody knows what is in it."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_text("the host's")
    (tmp_path / "proc/7").mkdir()
    (tmp_path / "proc/7/root").symlink_to(inside)
    assert host.proc.exists("7/root")
    return inside


def test_whole_files_however_they_come(host: HostFS, tmp_path: Path) -> None:
    data = os.urandom(200_000)
    (tmp_path / "proc/big").write_bytes(data)
    assert host.proc.read("big") == data
    assert host.proc.read_head("big", 10) == data[:10]
    assert HostFS().proc.read("self/status").startswith(b"Name:")


def test_a_file_that_is_too_large_is_malformed_and_counted(host: HostFS, tmp_path: Path) -> None:
    (tmp_path / "proc/big").write_bytes(b"x" * 101)
    assert len(host.proc.read("big", 101)) == 101
    with pytest.raises(Malformed):
        host.proc.read("big", 100)
    assert host.tally.malformed == {"/proc/big": 1}


def test_a_read_that_fails_is_none_and_counted_all_the_same(host: HostFS, tmp_path: Path) -> None:
    (tmp_path / "proc/big").write_bytes(b"x" * 101)
    assert or_none(host.proc.read, "big", limit=101) == b"x" * 101
    assert or_none(host.proc.read, "big", limit=100) is None
    assert or_none(host.proc.readlink, "1/exe") is None
    assert host.tally.malformed == {"/proc/big": 1}


def test_what_is_not_there_is_gone_and_not_counted(host: HostFS) -> None:
    with pytest.raises(Gone):
        host.proc.read("1/stat")
    assert not host.tally.denied
    assert not host.tally.malformed


@pytest.mark.skipif(os.geteuid() != 0, reason="must be root to become somebody who is denied")
def test_what_may_not_be_read_is_denied_and_counted_by_class(host: HostFS, tmp_path: Path) -> None:
    for pid in ("11", "12"):
        (tmp_path / "proc" / pid).mkdir(mode=0o700)
    for folder in tmp_path, *tmp_path.parents:
        folder.chmod(folder.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        for pid in ("11", "12"):
            with pytest.raises(Denied):
                host.proc.read(f"{pid}/environ")
    finally:
        os.seteuid(0)
    assert host.tally.denied == {"/proc/*/environ": 2}


@pytest.mark.parametrize("target", ["../secret", "/secret", "../../../../../../../secret"])
def test_a_strangers_links_do_not_lead_out(
    host: HostFS, stranger: Path, tmp_path: Path, target: str
) -> None:
    wanted = str(tmp_path / "secret") if target == "/secret" else target
    (stranger / "os-release").symlink_to(wanted)
    with host.container_root(7) as root, pytest.raises(Gone):
        root.read("os-release")


def test_a_strangers_absolute_link_stays_inside(host: HostFS, stranger: Path) -> None:
    (stranger / "real").write_text("his own")
    (stranger / "link").symlink_to("/real")
    with host.container_root(7) as root:
        assert root.read_text("link") == "his own"
        assert root.readlink("link") == "/real"


def test_a_strangers_fifo_device_and_directory_are_not_read(host: HostFS, stranger: Path) -> None:
    os.mkfifo(stranger / "fifo")
    (stranger / "folder").mkdir()
    with host.container_root(7) as root:
        for name in ("fifo", "folder"):
            with pytest.raises(Malformed):
                root.read(name)


def test_a_strangers_link_loop_is_malformed(host: HostFS, stranger: Path) -> None:
    (stranger / "a").symlink_to("b")
    (stranger / "b").symlink_to("a")
    with host.container_root(7) as root, pytest.raises(Malformed):
        root.read("a")


def test_a_strangers_sparse_file_is_refused_unread(host: HostFS, stranger: Path) -> None:
    with (stranger / "huge").open("wb") as file:
        file.truncate(10 << 30)
    with host.container_root(7) as root, pytest.raises(Malformed):
        root.read("huge", 1000)


def test_a_directory_without_end_is_read_in_part(host: HostFS, stranger: Path) -> None:
    for number in range(60):
        (stranger / str(number)).touch()
    with host.container_root(7) as root:
        assert len(root.listdir(limit=50)) == 50


def test_each_collector_counts_its_own(host: HostFS, tmp_path: Path) -> None:
    (tmp_path / "proc/x").write_bytes(b"long")
    mine = host.with_tally()
    with pytest.raises(Malformed):
        mine.proc.read("x", 1)
    assert mine.tally.malformed.total() == 1
    assert host.tally.malformed.total() == 0


def test_a_moved_root_has_absolute_links_of_its_own(host: HostFS, tmp_path: Path) -> None:
    (tmp_path / "root/etc").mkdir()
    (tmp_path / "root/etc/hostname").write_text("captured")
    (tmp_path / "root/link").symlink_to("/etc/hostname")
    assert host.root.read_text("link") == "captured"


def test_classes_of_paths_are_few() -> None:
    assert path_class("/proc/4711/root") == "/proc/*/root"
    assert path_class("/sys/fs/cgroup/docker/" + "a" * 64 + "/cpu.stat").endswith("docker/*")


def test_names_that_users_choose_neither_fill_the_log_nor_the_memory(
    host: HostFS, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(1000):
        (tmp_path / f"root/box-{number}-of-mine").write_bytes(b"long")
        with pytest.raises(Malformed):
            host.root.read(f"box-{number}-of-mine", 1)
    assert host.tally.malformed.total() == 1000
    assert len(host.tally.malformed) < 250
    assert len(caplog.records) < 250


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("/proc/1/root", 0),
        ("/host/proc/1/ns/mnt", 0),
        ("/proc/11/root", 1),
        ("/proc/4711/root/proc/1/environ", 1),
    ],
)
def test_what_is_denied_of_the_hosts_init_is_not_blindness(path: str, counts: int) -> None:
    tally = Tally()
    tally.count(Denied(path, "Permission denied"))
    assert tally.denied.total() == counts
    tally.count(Malformed(path, "too large"))
    assert tally.malformed.total() == 1
