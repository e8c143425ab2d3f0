"""What is in a container's root filesystem: its operating system, packages, accounts, logins.

The container controls every byte that is read here. Reads are few (about twenty opens), confined
to the container's root, capped, and of regular files only.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.facts import Account, RootFacts
from collectors.hostfs import Denied, HostReadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.facts import Mount
    from collectors.hostfs import Dir, HostFS

_SMALL = 16 << 10
_ACCOUNTS_LIMIT = 256 << 10
_ACCOUNTS_KEPT = 200
_PACKAGES_LIMIT = 8 << 20
_NAMES_KEPT = 200
_UTMP_LIMIT = 64 << 10

_UTMP = struct.Struct("<hxxi32s4s32s256shhiii16s20s")
"""struct utmp of utmp(5), 384 bytes, as glibc and musl lay it out on 64-bit Linux."""
_USER_PROCESS = 7

_INITS = ("usr/lib/systemd/systemd", "lib/systemd/systemd", "sbin/openrc-init", "sbin/runit-init")
_IMAGE_STORES = ("/vfs/dir/", "/btrfs/subvolumes/", "io.containerd.snapshotter", "/vfs-layers/")
_IMAGE_FILESYSTEMS = frozenset({"squashfs", "erofs"})


def read_root(host: HostFS, pid: int, mounts: Sequence[Mount]) -> RootFacts:
    """Read the root filesystem of a process, given its mounts.

    Raises ``HostReadError`` when the root cannot be opened at all; what cannot be read within it
    is left out and counted in ``denied``.
    """
    with host.container_root(pid) as root:
        reader = _Reader(root)
        system = parse_os_release(
            reader.read("etc/os-release", _SMALL) or reader.read("usr/lib/os-release", _SMALL)
        )
        packages = _packages(reader)
        mount = root_mount(mounts)
        return RootFacts(
            fstype=mount.fstype if mount else "",
            source=mount.source if mount else "",
            layered=is_layered(mount) if mount else None,
            os_id=system.get("ID", ""),
            os_name=system.get("PRETTY_NAME", "") or system.get("NAME", ""),
            os_version=system.get("VERSION_ID", ""),
            package_manager=packages.manager,
            packages=packages.count,
            packages_changed=packages.changed,
            init_present=_init_present(reader),
            machine_id=_machine_id(reader.read("etc/machine-id", 64)),
            accounts=parse_accounts(
                reader.read("etc/passwd", _ACCOUNTS_LIMIT),
                reader.read("etc/shadow", _ACCOUNTS_LIMIT),
            ),
            sessions=_sessions(reader),
            top_level=tuple(sorted(reader.names(".", _NAMES_KEPT))),
            denied=reader.denied,
        )


@dataclass(slots=True)
class _Reader:
    """Reads in one root: a missing file is empty, a denied one is counted too."""

    root: Dir
    denied: int = 0

    def read(self, path: str, limit: int) -> bytes:
        try:
            return self.root.read_head(path, limit)
        except HostReadError as error:
            self._note(error)
            return b""

    def names(self, path: str, limit: int) -> list[str]:
        try:
            return self.root.listdir(path, limit)
        except HostReadError as error:
            self._note(error)
            return []

    def changed(self, path: str) -> float | None:
        """Return when a file or directory was last modified; None where there is none."""
        try:
            return self.root.stat(path).st_mtime
        except HostReadError as error:
            self._note(error)
            return None

    def _note(self, error: HostReadError) -> None:
        self.denied += isinstance(error, Denied)


def root_mount(mounts: Sequence[Mount]) -> Mount | None:
    """Return the mount that is the root: the last one with that target."""
    return next((m for m in reversed(mounts) if m.target == "/"), None)


def is_layered(mount: Mount) -> bool:
    """Return whether a root lies over the layers of an image, or is an image.

    The filesystem shows it for overlay and aufs; for a plain directory or subvolume only the path
    of its store does (Docker's vfs and btrfs drivers, containerd's native snapshots).
    """
    if mount.fstype in _IMAGE_FILESYSTEMS:
        return True
    if "overlay" in mount.fstype or mount.fstype == "aufs":
        return True
    return any(store in mount.root + "/" for store in _IMAGE_STORES)


def parse_os_release(data: bytes) -> dict[str, str]:
    """Parse os-release(5): assignments as in a shell, without substitutions."""
    values: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and key.replace("_", "").isalnum():
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            values[key] = value[:200]
    return values


def parse_accounts(passwd: bytes, shadow: bytes) -> tuple[Account, ...]:
    """Parse passwd(5) and shadow(5): the first 200 accounts, malformed lines left out."""
    hashes = dict(_pairs(shadow))
    accounts = []
    for line in passwd.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) < 7 or not fields[2].isdigit() or len(fields[2]) > 10:
            continue
        name, password = fields[0], fields[1]
        if password == "x":  # noqa: S105 - means that the hash is in the other file
            password = hashes.get(name, "!")
        accounts.append(
            Account(name=name, uid=int(fields[2]), shell=fields[6], locked=not _is_hash(password))
        )
        if len(accounts) == _ACCOUNTS_KEPT:
            break
    return tuple(accounts)


def _pairs(data: bytes) -> list[tuple[str, str]]:
    pairs = []
    for line in data.decode("utf-8", "replace").splitlines():
        fields = line.split(":", 2)
        if len(fields) > 1:
            pairs.append((fields[0], fields[1]))
    return pairs


def _is_hash(password: str) -> bool:
    """Return whether a password field holds a hash, crypt(5): ``$id$…``, or DES's 13 characters."""
    return password.startswith("$") or (len(password) == 13 and password[0] not in "!*")


@dataclass(frozen=True, slots=True)
class _Packages:
    manager: str = ""
    count: int | None = None
    changed: float | None = None


def _packages(reader: _Reader) -> _Packages:
    """Find the package database: whose it is, how many packages it lists, when it last changed."""
    when = reader.changed("var/lib/dpkg/status")
    if when is not None:
        names = reader.names("var/lib/dpkg/info", 20_000)
        return _Packages("dpkg", sum(n.endswith(".list") for n in names), when)
    for path in ("lib/apk/db/installed", "usr/lib/apk/db/installed"):
        when = reader.changed(path)
        if when is not None:
            data = reader.read(path, _PACKAGES_LIMIT)
            return _Packages("apk", data.count(b"\nP:") + data.startswith(b"P:"), when)
    for directory in ("var/lib/rpm", "usr/lib/sysimage/rpm"):
        for database in ("rpmdb.sqlite", "Packages", "Packages.db"):
            when = reader.changed(f"{directory}/{database}")
            if when is not None:
                return _Packages("rpm", None, when)
    when = reader.changed("var/lib/pacman/local")
    if when is not None:
        return _Packages(
            "pacman", max(0, len(reader.names("var/lib/pacman/local", 20_000)) - 1), when
        )
    return _Packages()


def _init_present(reader: _Reader) -> bool:
    """Return whether there is an init system that could boot.

    Every busybox has /sbin/init; it is an init system only with an inittab(5) to read.
    """
    if any(reader.changed(path) is not None for path in _INITS):
        return True
    return reader.changed("etc/inittab") is not None and reader.changed("sbin/init") is not None


def _machine_id(data: bytes) -> str:
    text = data.decode("ascii", "replace").strip()
    return text if len(text) == 32 and all(c in "0123456789abcdef" for c in text) else ""


def _sessions(reader: _Reader) -> int | None:
    """Count logins: logind's where it runs, else those in utmp(5)."""
    names = reader.names("run/systemd/sessions", 1000)
    if names:
        return sum(name.isalnum() for name in names)
    data = reader.read("run/utmp", _UTMP_LIMIT)
    return count_logins(data) if data else None


def count_logins(data: bytes) -> int:
    """Count the records of logged-in users in utmp(5); an incomplete last record is left out."""
    whole = len(data) - len(data) % _UTMP.size
    return sum(record[0] == _USER_PROCESS for record in _UTMP.iter_unpack(data[:whole]))
