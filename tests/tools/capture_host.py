"""Writes what the agent reads of this host into one text archive: ``capture_host.py FILE``.

A captured tree stands in for a host (--path.procfs=TREE/proc --path.sysfs=TREE/sys
--path.rootfs=TREE/root). Run it as root. Differences between a tree and its host:

- Kernel threads are left out, except kthreadd, which identifies the host's own namespaces.
- ``proc/<pid>/root`` points to TREE/root or TREE/roots/N, which hold only the files that the agent
  reads in a root. Their device numbers are all the same, their inodes differ as they did.
- ``exe`` names the program, and points to any file of that name where the tree is unpacked.
- Only the names and states of packages are kept from dpkg's database, and no passwords.
- Only the processes are kept from inner cgroups of a container.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.hosts.archive import Archive


def _words(text: str) -> list[str]:
    return text.split()


_LARGEST = 400_000
_KTHREADD = "2"
_PF_KTHREAD = 0x00200000

_HOST = _words(
    """
    cpuinfo diskstats filesystems loadavg meminfo mounts stat swaps uptime version vmstat
    pressure/* sys/fs/file-nr sys/kernel/hostname sys/kernel/osrelease sys/kernel/pid_max
    sys/kernel/random/boot_id sys/kernel/threads-max
    """
)

_PROCESS = _words(
    """
    cgroup cmdline comm environ gid_map io mountinfo schedstat setgroups stat statm status
    uid_map net/dev net/if_inet6 net/ipv6_route net/route net/snmp net/tcp net/tcp6 net/udp
    net/udp6 net/unix net/fib_trie
    """
)
_PROCESS_LINKS = ("exe", "cwd")

_SYS = _words(
    """
    block/*/device block/*/uevent class/dmi/id/product_name class/dmi/id/product_version
    class/dmi/id/sys_vendor class/dmi/id/board_vendor class/dmi/id/bios_vendor class/net/*/ifindex
    dev/block/*/uevent devices/system/clocksource/clocksource0/available_clocksource
    devices/system/cpu/online devices/system/node/online hypervisor/type
    """
)

_CGROUP_LEFT_OUT = _words(
    """
    cgroup.clone_children cgroup.event_control cgroup.kill cgroup.max.* cgroup.pressure
    cgroup.sane_behavior cgroup.threads cpuset.* devices.* memory.force_empty memory.kmem.slabinfo
    memory.move_charge_at_immigrate memory.numa_stat memory.pressure_level memory.reclaim misc.*
    net_* notify_on_release perf_event.* rdma.* release_agent tasks *.bfq.* *rsvd*
    """
)
_CGROUP_KEPT = ("cpuset.cpus", "cpuset.mems", "cpuset.cpus.effective")

_ROOT = _words(
    """
    etc/hostname etc/machine-id etc/os-release etc/passwd usr/lib/os-release run/utmp
    run/systemd/container lib/systemd/systemd usr/lib/systemd/systemd sbin/openrc-init
    sbin/runit-init etc/systemd/system/multi-user.target.wants/* etc/rc2.d/*
    etc/runlevels/default/* etc/runit/runsvdir/default/* var/lib/apk/db/installed
    .dockerenv run/.containerenv
    """
)

_ENGINES = _words(
    """
    etc/containers/*.conf etc/default/lxc etc/docker/daemon.json etc/lxc/*.conf etc/subgid
    etc/subuid etc/systemd/nspawn/*.nspawn
    run/containerd/io.containerd.runtime.v2.task/*/*/* run/containers/storage/*/*/*
    run/crun/*/* run/docker/containerd/daemon/io.containerd.runtime.v2.task/*/*/*
    run/docker/runtime-runc/*/*/state.json run/libpod/* run/libpod/exits/* run/runc/*/state.json
    run/systemd/machines/* run/systemd/system/ run/user/*/
    usr/share/lxc/config/common.conf usr/share/lxc/config/common.conf.d/*
    var/lib/containers/storage/*-containers/*.json
    var/lib/containers/storage/*-containers/*/userdata/*.json
    var/lib/containers/storage/*-images/*.json var/lib/containers/storage/*-images/*/*
    var/lib/containers/storage/libpod/bolt_state.db var/lib/containers/storage/db.sql
    var/lib/docker/containers/*/*.json var/lib/docker/image/*/imagedb/content/sha256/*
    var/lib/docker/image/*/layerdb/mounts/*/* var/lib/docker/image/*/repositories.json
    var/lib/lxc/*/config var/lib/machines/*/
    """
)


class Capture:
    """Collects a host's files into an archive."""

    def __init__(self) -> None:
        self.archive = Archive()
        self._host = _identity("/")
        self._roots: dict[tuple[int, int], str] = {self._host: "root"}
        self._guests: set[str] = set()
        """Processes whose root is not the host's."""

    def run(self) -> Archive:
        """Capture everything."""
        for name in _HOST:
            self._glob("/proc", "proc", name)
        self.archive.links["proc/self"] = str(os.getpid())
        for entry in sorted(os.listdir("/proc")):
            if entry.isdigit():
                with suppress(FileNotFoundError, ProcessLookupError):
                    self._process(entry)
        for name in _SYS:
            self._glob("/sys", "sys", name)
        self._cgroups("/sys/fs/cgroup")
        self._root("/", "root")
        for name in _ENGINES:
            self._glob("/", "root", name, timed=True)
        return self.archive

    def _process(self, pid: str) -> None:
        here, there = f"/proc/{pid}", f"proc/{pid}"
        fields = _read(f"{here}/stat").rpartition(b")")[2].split()
        if int(fields[6]) & _PF_KTHREAD and pid != _KTHREADD:
            return
        for name in _PROCESS:
            with suppress(OSError):
                self.archive.add(f"{there}/{name}", _read(f"{here}/{name}"))
        for name in (*_PROCESS_LINKS, *_names(f"{here}/ns", "ns"), *_names(f"{here}/fd", "fd")):
            with suppress(OSError):
                self.archive.links[f"{there}/{name}"] = os.readlink(f"{here}/{name}")
        # A zombie has no root left.
        with suppress(OSError):
            self._root_of(here, there, pid)

    def _root_of(self, here: str, there: str, pid: str) -> None:
        identity = _identity(f"{here}/root/")
        if identity != self._host:
            self._guests.add(pid)
        if identity not in self._roots:
            self._roots[identity] = f"roots/{len(self._roots)}"
            self._root(f"{here}/root/", self._roots[identity])
        self.archive.links[f"{there}/root"] = f"../../{self._roots[identity]}"

    def _root(self, here: str, there: str) -> None:
        for name in os.listdir(here):
            self._add(f"{here}/{name}", f"{there}/{name}", shallow=True)
        for name in _ROOT:
            self._glob(here, there, name, timed=True)
        packages = Path(here) / "var/lib/dpkg/status"
        with suppress(OSError):
            lines = packages.read_bytes().split(b"\n")
            kept = [x for x in lines if not x or x.startswith((b"Package:", b"Status:"))]
            written = packages.stat().st_mtime
            self.archive.add(f"{there}/var/lib/dpkg/status", b"\n".join(kept), written)

    def _cgroups(self, top: str) -> None:
        for name in sorted(os.listdir(top)):
            path = f"{top}/{name}"
            if os.path.islink(path):
                self.archive.links[path.lstrip("/")] = os.readlink(path)
            elif os.path.isdir(path) and not os.path.exists(f"{top}/cgroup.procs"):
                self._cgroup(path, top=True)
        if os.path.exists(f"{top}/cgroup.procs"):
            self._cgroup(top, top=True)

    def _cgroup(self, path: str, *, top: bool = False, inner: bool = False) -> None:
        pids = self._pids_below(path)
        guests = pids & self._guests
        whole = top or (bool(guests) and not inner)
        self.archive.directories[path.lstrip("/")] = None
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.is_dir(follow_symlinks=False):
                    self._cgroup(entry.path, inner=inner or (bool(guests) and guests == pids))
                elif entry.name in ("cgroup.procs", "cgroup.controllers") or (
                    whole and _wanted(entry.name)
                ):
                    with suppress(OSError):
                        self.archive.add(entry.path.lstrip("/"), _read(entry.path))

    def _pids_below(self, path: str) -> set[str]:
        found: set[str] = set()
        for directory, _, _ in os.walk(path):
            with suppress(OSError):
                found.update(_read(f"{directory}/cgroup.procs").decode().split())
        return found

    def _glob(self, here: str, there: str, pattern: str, *, timed: bool = False) -> None:
        for path in Path(here).glob(pattern):
            inside = path.relative_to(here).parents
            if any((Path(here) / parent).is_symlink() for parent in inside if parent.name):
                continue  # the target of a link is captured at its own path
            self._add(str(path), f"{there}/{path.relative_to(here)}", timed=timed)

    def _add(self, path: str, name: str, *, timed: bool = False, shallow: bool = False) -> None:
        name = re.sub("/+", "/", name)
        with suppress(OSError):
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                self.archive.links[name] = os.readlink(path)
            elif stat.S_ISDIR(status.st_mode):
                self.archive.directories[name] = None
            elif stat.S_ISREG(status.st_mode):
                # Programs are only looked up, not run.
                program = status.st_mode & 0o111 or status.st_size > _LARGEST
                content = b"" if program or shallow else _read(path)
                self.archive.add(name, content, status.st_mtime if timed else 0)


def _wanted(name: str) -> bool:
    left_out = any(fnmatch(name, pattern) for pattern in _CGROUP_LEFT_OUT)
    return name in _CGROUP_KEPT or not left_out


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _names(path: str, prefix: str) -> list[str]:
    with suppress(OSError):
        return [f"{prefix}/{name}" for name in sorted(os.listdir(path))]
    return []


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def main() -> None:
    """Capture this host into the file that the command line names."""
    Path(sys.argv[1]).write_text(Capture().run().dump())


if __name__ == "__main__":
    main()
