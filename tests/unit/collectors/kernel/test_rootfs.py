"""Reading a container's root filesystem, which a stranger has written."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.facts import Account, FileId, Mount
from collectors.hostfs import Gone, HostFS
from collectors.kernel.rootfs import (
    count_logins,
    is_layered,
    parse_accounts,
    parse_os_release,
    read_root,
    root_mount,
)

if TYPE_CHECKING:
    from pathlib import Path

PID = 4711


def mount(target: str = "/", fstype: str = "ext4", root: str = "/", options: str = "rw") -> Mount:
    return Mount(
        device=FileId(1, 0),
        root=root,
        target=target,
        fstype=fstype,
        source=fstype,
        options=options,
    )


@pytest.fixture
def host(tmp_path: Path) -> HostFS:
    (tmp_path / "proc" / str(PID) / "root").mkdir(parents=True)
    return HostFS(procfs=str(tmp_path / "proc"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "proc" / str(PID) / "root"


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_debian(host: HostFS, root: Path) -> None:
    write(
        root,
        **{
            "usr__lib__os-release": 'ID=debian\nPRETTY_NAME="Debian 12"\nVERSION_ID="12"\n',
            "etc__passwd": "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n",
            "etc__shadow": "root:*:1::::::\nann:$y$abc:1::::::\n",
            "etc__machine-id": "0123456789abcdef0123456789abcdef\n",
            "var__lib__dpkg__status": "Package: a\n",
            "var__lib__dpkg__info__a_DOT_list": "",
            "var__lib__dpkg__info__a_DOT_md5sums": "",
            "var__lib__dpkg__info__b_DOT_list": "",
            "usr__lib__systemd__systemd": "",
        },
    )
    os.utime(root / "var/lib/dpkg/status", (1, 1_600_000_000))
    facts = read_root(host, PID, [mount("/proc"), mount(fstype="overlay")])
    assert (facts.os_id, facts.os_name, facts.os_version) == ("debian", "Debian 12", "12")
    assert (facts.package_manager, facts.packages) == ("dpkg", 2)
    assert facts.packages_changed == 1_600_000_000
    assert facts.init_present
    assert facts.machine_id == "0123456789abcdef0123456789abcdef"
    assert facts.accounts == (
        Account(name="root", uid=0, shell="/bin/bash", locked=True),
        Account(name="ann", uid=1000, shell="/bin/sh", locked=False),
    )
    assert facts.layered
    assert facts.fstype == "overlay"
    assert facts.top_level == ("etc", "usr", "var")
    assert facts.denied == 0


def test_an_alpine_that_boots(host: HostFS, root: Path) -> None:
    write(
        root,
        **{
            "etc__os-release": "ID=alpine\nNAME='Alpine Linux'\n",
            "lib__apk__db__installed": "P:musl\nV:1\n\nP:busybox\nV:2\n",
            "etc__inittab": "",
            "sbin__init": "",
        },
    )
    facts = read_root(host, PID, ())
    assert (facts.os_name, facts.package_manager, facts.packages) == ("Alpine Linux", "apk", 2)
    assert facts.init_present
    assert facts.layered is None


def test_every_busybox_has_an_init_and_is_none_for_that(host: HostFS, root: Path) -> None:
    write(root, sbin__init="")
    assert read_root(host, PID, ()).init_present is False


@pytest.mark.parametrize(
    ("path", "manager"),
    [
        ("var/lib/rpm/rpmdb.sqlite", "rpm"),
        ("usr/lib/sysimage/rpm/Packages.db", "rpm"),
        ("var/lib/pacman/local/x", "pacman"),
    ],
)
def test_other_package_managers(host: HostFS, root: Path, path: str, manager: str) -> None:
    write(root, **{path.replace("/", "__"): ""})
    facts = read_root(host, PID, ())
    assert facts.package_manager == manager
    assert facts.packages_changed is not None


def test_an_empty_root(host: HostFS) -> None:
    facts = read_root(host, PID, ())
    assert facts.init_present is False
    assert facts.packages is None
    assert facts.sessions is None
    assert facts.top_level == ()


def test_no_root_at_all(host: HostFS) -> None:
    with pytest.raises(Gone):
        read_root(host, PID + 1, ())


def test_what_a_stranger_puts_there_is_not_followed_or_waited_for(
    host: HostFS, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "passwd").write_text("secret:x:0:0::/:/bin/sh\n")
    (root / "etc").mkdir()
    (root / "etc/passwd").symlink_to(tmp_path / "passwd")
    os.mkfifo(root / "etc/os-release")
    (root / "etc/machine-id").mkdir()
    (root / "etc/shadow").write_text("x" * 10_000_000)
    facts = read_root(host, PID, ())
    assert facts.accounts == ()
    assert facts.os_id == ""
    assert facts.machine_id == ""


def test_logins_of_logind_come_before_utmp(host: HostFS, root: Path) -> None:
    write(root, run__utmp="")
    (root / "run/utmp").write_bytes(utmp(7, 7, 6))
    assert read_root(host, PID, ()).sessions == 2
    write(root, run__systemd__sessions__c1="", run__systemd__sessions__c1_DOT_ref="")
    assert read_root(host, PID, ()).sessions == 1


def utmp(*kinds: int) -> bytes:
    return b"".join(struct.pack("<h", kind) + bytes(382) for kind in kinds)


def test_a_cut_record_of_utmp_is_left_out() -> None:
    assert count_logins(utmp(7, 8, 7)[:-1]) == 1
    assert count_logins(b"") == 0


@given(st.binary(max_size=2000))
def test_any_utmp_gives_a_number(data: bytes) -> None:
    assert 0 <= count_logins(data) <= len(data) // 384


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_any_passwd_gives_accounts(passwd: bytes, shadow: bytes) -> None:
    for account in parse_accounts(passwd, shadow):
        assert account.uid >= 0


@given(st.binary(max_size=400))
def test_any_os_release_gives_words(data: bytes) -> None:
    for key, value in parse_os_release(data).items():
        assert key
        assert len(value) <= 200


@pytest.mark.parametrize(
    ("field", "locked"),
    [
        ("*", True),
        ("!", True),
        ("!$6$x", True),
        ("", True),
        ("$6$salt$hash", False),
        ("a" * 13, False),
    ],
)
def test_who_has_a_password(field: str, locked: bool) -> None:
    (account,) = parse_accounts(b"ann:x:1:1::/:/bin/sh\n", f"ann:{field}:1\n".encode())
    assert account.locked is locked


def test_a_password_in_passwd_itself_and_none_anywhere() -> None:
    accounts = parse_accounts(b"a:$1$x:1:1::/:/bin/sh\nb:x:2:2::/:/bin/sh\nbroken\n", b"")
    assert [a.locked for a in accounts] == [False, True]


@pytest.mark.parametrize(
    ("found", "layered"),
    [
        (mount(fstype="overlay"), True),
        (mount(fstype="fuse.fuse-overlayfs"), True),
        (mount(fstype="aufs"), True),
        (mount(fstype="squashfs"), True),
        (mount(root="/lib/docker/vfs/dir/0a1b"), True),
        (mount(fstype="btrfs", root="/@/lib/docker/btrfs/subvolumes/0a1b"), True),
        (mount(root="/lib/lxc/web/rootfs"), False),
        (mount(fstype="zfs"), False),
    ],
)
def test_what_lies_over_an_image(found: Mount, layered: bool) -> None:
    assert is_layered(found) is layered


def test_the_last_mount_on_the_root_is_the_root() -> None:
    first, last = mount(fstype="rootfs"), mount(fstype="overlay")
    assert root_mount([first, mount("/proc"), last, mount("/sys")]) is last
    assert root_mount([mount("/proc")]) is None
