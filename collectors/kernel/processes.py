"""All processes of the host as /proc shows them, with their namespaces, roots and cgroups."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from collectors.facts import CgroupMode, FileId, Mount, Namespaces, Process, ProcessId, ProcessTable
from collectors.formats.numbers import parse_decimal
from collectors.hostfs import Denied, Gone, HostReadError, or_none
from collectors.kernel.cgroups import forget_cgroups, parse_cgroup, read_layout
from collectors.kernel.pid_namespaces import first_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from collectors.hostfs import Dir, HostFS

_KERNEL_THREAD = 0x00200000  # PF_KTHREAD, include/linux/sched.h
_NAMESPACE_KINDS = ("mnt", "cgroup", "ipc", "net", "pid", "time", "user", "uts")
_ARGV_LIMIT = 16 << 10
_ARGV_KEPT = 64
"""Arguments kept of a process: enough to judge it, however many it was started with."""
_DEVICE_DIGITS = 7  # of 20 bits, MINORBITS in include/linux/kdev_t.h


_OF_PROGRAMS = ("/usr/", "/bin/", "/sbin/", "/nix/store/", "/gnu/store/")


class ProcessReader:
    """Reads the process table, and keeps it: a light pass reads only processes that are new.

    A process can move between namespaces and cgroups and execute another program, so what is kept
    is valid only until the next full pass, and a young process is read again in each pass.
    """

    YOUNG_PASSES = 3

    appeared: tuple[Process, ...] = ()
    """Those that are new in the last pass, or not what they were in the pass before it."""
    vanished: tuple[Process, ...] = ()
    """Those that have ended between the last pass and the one before it."""
    young: bool = False
    """The last pass saw some that are so new that the next pass reads them again."""

    def __init__(
        self,
        host: HostFS,
        *,
        skip: frozenset[ProcessId] = frozenset(),
        touch: Callable[[ProcessId], None] = lambda _: None,
    ) -> None:
        self._host = host
        self._last: dict[int, tuple[Process | None, int]] = {}  # with its age in passes, by pid
        self._marks: dict[int, object] = {}  # by pid
        self._skip = skip  # reading these hung before: only what cannot block is read
        self._only_unified = read_layout(host).mode is CgroupMode.V2
        self._touch = touch  # called before a process is read in a way that can block
        self._disk = or_none(host.root.file_id)  # the host's root filesystem

    def read(self, *, full: bool = True) -> ProcessTable:
        """Read the table; a light pass (``full=False``) reads only new and young processes."""
        seen: dict[int, tuple[Process | None, int]] = {}
        table: dict[int, Process] = {}
        young = False
        for name in self._host.proc.listdir(limit=1 << 22):
            if not name.isdigit():
                continue
            pid = int(name)
            kept = None if full else self._last.get(pid)
            if kept is not None and (kept[1] >= self.YOUNG_PASSES or kept[0] is None):
                process, age = kept
            else:
                age = kept[1] + 1 if kept is not None else self.YOUNG_PASSES if full else 0
                try:
                    process = self._read(pid)
                except HostReadError:
                    continue
                if process is not None:
                    young |= age < self.YOUNG_PASSES
            seen[pid] = (process, age)
            if process is not None:
                table[pid] = process
        self._find_new_parents(seen, table)
        for pid, process in first_processes(table).items():
            seen[pid] = (process, seen[pid][1])
            table[pid] = process
        self.appeared = tuple(p for p in table.values() if self._has_appeared(p))
        self.vanished = tuple(
            old
            for pid, (old, _) in self._last.items()
            if old is not None and (pid not in table or table[pid].id != old.id)
        )
        self.young = young
        self._last = seen
        if full:
            forget_cgroups(len(table))
        self._marks = {pid: self._marks[pid] for pid in table if pid in self._marks}
        return ProcessTable(by_pid=table)

    def _find_new_parents(
        self, seen: dict[int, tuple[Process | None, int]], table: dict[int, Process]
    ) -> None:
        """Read those again whose parent has ended, before or while the table was read.

        By now they are another one's children: that tells whose container they are in.
        """
        for process in [p for p in table.values() if p.ppid > 0 and p.ppid not in seen]:
            pid = process.pid
            try:
                again = self._read(pid)
            except HostReadError:
                again = None
            if again is not None:
                seen[pid] = (again, seen[pid][1])
                table[pid] = again
            else:
                del seen[pid], table[pid]

    def _has_appeared(self, process: Process) -> bool:
        before, _ = self._last.get(process.pid, (None, 0))
        return before is not process and (before is None or not _alike(before, process))

    def forget(self, pids: Iterable[int]) -> None:
        """Let the next pass read these as if they were new."""
        for pid in pids:
            self._last.pop(pid, None)

    def ended(self, pids: Iterable[int]) -> list[int]:
        """Return those that were running when they were last read, and are zombies or gone by now.

        A light pass does not see that one became a zombie, which it stays until its parent reaps
        it; the numbers of its namespaces are free, and may be those of another container by then.
        """
        return [pid for pid in pids if self._has_ended(pid)]

    def _has_ended(self, pid: int) -> bool:
        before, _ = self._last.get(pid, (None, 0))
        if before is None or before.state in "ZX":
            return False
        try:
            stat = parse_stat(self._host.proc.read_head(f"{pid}/stat", 4096))
        except HostReadError:
            return True
        return stat is None or stat.state in "ZX" or stat.start_ticks != before.id.start_ticks

    def mark(self, pid: int) -> object:
        """Return what ``parse_mark`` read of a process when it was last read."""
        return self._marks.get(pid)

    def _read(self, pid: int) -> Process | None:
        """Read one process; None is a kernel thread, which is never in a container."""
        with self._host.process(pid) as directory:
            stat = directory.read("stat", 4096)
            fields = parse_stat(stat)
            if fields is None:
                raise directory.malformed("stat", "not in the format of proc_pid_stat(5)")
            if fields.flags & _KERNEL_THREAD:
                return None
            self._marks[pid] = parse_mark(stat)
            process = Process(
                id=ProcessId(pid, fields.start_ticks),
                ppid=fields.ppid,
                comm=fields.comm,
                state=fields.state,
                session=fields.session,
                tty=fields.tty,
                cgroups=_or_empty_cgroups(directory, only_unified=self._only_unified),
            )
            if process.id in self._skip or fields.state in "ZX":
                # A zombie has no memory, root or namespaces left, but a parent and a cgroup.
                return process
            self._touch(process.id)
            return self._details(process, directory)

    def _details(self, process: Process, directory: Dir) -> Process:
        try:
            status = parse_status(directory.read("status", 65536))
        except Denied:
            status = {}
        exe = or_none(directory.readlink, "exe")
        root_path = or_none(directory.readlink, "root")
        root_path = root_path.removesuffix(" (deleted)") if root_path else None
        outside = False
        if exe and root_path and root_path.startswith("/") and root_path != "/":
            # Both paths start at the top of its mount namespace, so it has changed its root.
            outside = not exe.startswith(root_path + "/")
            exe = exe.removeprefix(root_path) if not outside else exe
        exe_id = or_none(directory.file_id, "exe")
        root = or_none(directory.file_id, "root/")
        if self._disk is not None and exe_id is not None and root not in (None, self._disk):
            # After pivot_root(2) no path shows that its root is another one.
            of_host = self._is_of_host(exe, exe_id, root)
            outside |= of_host and not _is_at(directory, exe, exe_id)
        return replace(
            process,
            argv=_read_argv(directory),
            exe=exe,
            exe_outside=outside,
            exe_id=exe_id,
            uid=_number(status.get("Uid", ""), 1),
            ns_pids=_inner_numbers(process.id.pid, status),
            namespaces=read_namespaces(directory),
            root=root,
            envid=status.get("envID") or status.get("VEID"),
            capabilities=_hexadecimal(status.get("CapEff")),
            permitted=_hexadecimal(status.get("CapPrm")),
            bounding=_hexadecimal(status.get("CapBnd")),
            seccomp=_number(status.get("Seccomp", ""), 0),
            no_new_privs=_flag(status.get("NoNewPrivs")),
        )

    def _is_of_host(self, exe: str | None, exe_id: FileId, root: FileId | None) -> bool:
        """Return whether a program may be the host's: it is on its disk, or is found there.

        The host's /usr may be another filesystem than its root, and a file of an overlay may have
        the device of a layer.
        """
        if self._disk is not None and exe_id.device == self._disk.device:
            return True
        if root is not None and exe_id.device == root.device:
            return False  # nearly all of a container's are in its own root filesystem
        # Whoever runs it names the path: only where looking cannot block, nor mount anything. Of a
        # program below a mount that has been detached it begins there: /bin/x of the host's /usr.
        paths = () if exe is None else (exe, f"/usr{exe}")
        places = (path for path in paths if path.startswith(_OF_PROGRAMS))
        return any(or_none(self._host.root.file_id, p.lstrip("/")) == exe_id for p in places)


def read_newborn(host: HostFS, pid: int, *, only_unified: bool) -> Process | None:
    """Read a process that has started since the table was read; None where there is none.

    It is without program and root directory, as reading these can block.
    """
    try:
        with host.process(pid) as directory:
            fields = parse_stat(directory.read("stat", 4096))
            if fields is None or fields.flags & _KERNEL_THREAD:
                return None
            status = parse_status(or_none(directory.read, "status", 65536) or b"")
            return Process(
                id=ProcessId(pid, fields.start_ticks),
                ppid=fields.ppid,
                comm=fields.comm,
                state=fields.state,
                session=fields.session,
                tty=fields.tty,
                cgroups=_or_empty_cgroups(directory, only_unified=only_unified),
                uid=_number(status.get("Uid", ""), 1),
                ns_pids=_inner_numbers(pid, status),
                namespaces=read_namespaces(directory),
            )
    except HostReadError:
        return None


_alike_in = attrgetter(
    "id", "ppid", "session", "exe", "argv", "uid", "namespaces", "root", "cgroups"
)


def _alike(one: Process, other: Process) -> bool:
    """Return whether two readings of a process show the same program in the same place."""
    return bool(_alike_in(one) == _alike_in(other))


def read_pulse(host: HostFS) -> tuple[int, int] | None:
    """Read two numbers that change whenever a task of the host starts or ends; None if unreadable.

    They are how many were started since boot, proc_stat(5), and how many there are now,
    proc_loadavg(5): two small reads instead of a directory with an entry for each process.
    """
    try:
        stat = host.proc.read("stat")
        load = host.proc.read("loadavg", 4096).split()
        started = int(stat[stat.index(b"\nprocesses ") :].split(None, 2)[1])
        return started, int(load[3].partition(b"/")[2])
    except (HostReadError, ValueError, IndexError):
        return None


@dataclass(frozen=True, slots=True)
class Stat:
    """The fields of /proc/<pid>/stat that are used, proc_pid_stat(5)."""

    comm: str
    state: str
    ppid: int
    session: int
    tty: int
    flags: int
    start_ticks: int


def parse_stat(data: bytes) -> Stat | None:
    """Parse /proc/<pid>/stat; None when it is malformed.

    The name stands in parentheses and may contain parentheses and blanks: it ends at the last one.
    """
    head, parenthesis, tail = data.rpartition(b")")
    if not parenthesis:
        return None
    fields = tail.split()
    try:
        return Stat(
            comm=head.partition(b"(")[2].decode("utf-8", "replace"),
            state=fields[0].decode("ascii", "replace"),
            ppid=int(fields[1]),
            session=int(fields[3]),
            tty=int(fields[4]),
            flags=int(fields[6]),
            start_ticks=int(fields[19]),
        )
    except (IndexError, ValueError):
        return None


def parse_mark(data: bytes) -> object:
    """Parse from /proc/<pid>/stat what is another value after each execve(2).

    It is where program, stack and arguments lie in memory; the name, where that may not be read.
    """
    head, _, tail = data.rpartition(b")")
    fields = tail.split()
    addresses = (*fields[23:26], *fields[45:46])  # startcode, endcode, startstack, arg_start
    return head if len(addresses) < 4 or addresses[3] in (b"0", b"1") else addresses


_FIELD = re.compile(r"^(\w+):[ \t]*(.*)$", re.MULTILINE)


def parse_status(data: bytes) -> dict[str, str]:
    """Parse /proc/<pid>/status into its fields, proc_pid_status(5).

    The first of two fields of the same name counts. The process chooses its name, in the very
    first line, but the kernel escapes line ends in it.
    """
    fields = _FIELD.findall(data.decode("utf-8", "replace"))
    fields.reverse()
    return dict(fields)


_ESCAPE = re.compile(r"\\([0-7]{3})")


def parse_mountinfo(data: bytes) -> tuple[Mount, ...]:
    """Parse /proc/<pid>/mountinfo, proc_pid_mountinfo(5); malformed lines are left out."""
    mounts = []
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        left, dash, right = line.partition(" - ")
        fields, rest = left.split(" "), right.split(" ")
        if not dash or len(fields) < 6 or len(rest) < 3:
            continue
        device = fields[2].partition(":")
        major = parse_decimal(device[0], _DEVICE_DIGITS)
        minor = parse_decimal(device[2], _DEVICE_DIGITS)
        if major is None or minor is None:
            continue
        mounts.append(
            Mount(
                device=FileId(os.makedev(major, minor), 0),
                root=_unescape(fields[3]),
                target=_unescape(fields[4]),
                fstype=rest[0],
                source=_unescape(rest[1]),
                options=rest[2],
            )
        )
    return tuple(mounts)


def read_mounts(host: HostFS, pid: int) -> tuple[Mount, ...]:
    """Read the mounts that a process sees."""
    return parse_mountinfo(host.proc.read(f"{pid}/mountinfo", 8 << 20))


def read_namespaces(directory: Dir) -> Namespaces:
    """Read which namespaces the process of an open /proc/<pid> is in."""
    numbers: dict[str, int] = {}
    for kind in _NAMESPACE_KINDS:
        link = or_none(directory.readlink, f"ns/{kind}")
        if link is not None and link.endswith("]"):
            number = link.partition("[")[2][:-1]
            if number.isdigit():
                numbers[kind] = int(number)
        elif link is None and kind == "mnt":
            # Denied or gone, so the others would be too. Only mnt tells: an old kernel lacks some.
            break
    return Namespaces(**numbers)


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 8)), text) if "\\" in text else text


def _or_empty_cgroups(directory: Dir, *, only_unified: bool) -> Mapping[str, str]:
    try:
        return parse_cgroup(directory.read("cgroup", 65536), only_unified=only_unified)
    except Denied:
        return {}


def _read_argv(directory: Dir) -> tuple[str, ...]:
    try:
        data = directory.read_head("cmdline", _ARGV_LIMIT)
    except (Denied, Gone):
        return ()
    words = data.rstrip(b"\0").split(b"\0")[:_ARGV_KEPT] if data else []
    return tuple(word.decode("utf-8", "replace") for word in words)


def _is_at(directory: Dir, exe: str | None, exe_id: FileId) -> bool:
    """Return whether the path of a process's binary leads to it in the process's own root."""
    if exe is None or exe.endswith(" (deleted)"):
        return True  # unknown
    try:
        if directory.stat("exe", follow=False).st_size:
            return True  # a link of a captured tree, not the kernel's: it may lead anywhere
        with directory.open_dir("root/", confined=True) as root:
            return root.file_id(exe.lstrip("/")) == exe_id
    except Gone:
        return False
    except HostReadError:
        return True


def _number(text: str, field: int) -> int | None:
    words = text.split()
    return int(words[field]) if len(words) > field and words[field].isdigit() else None


def _inner_numbers(pid: int, status: Mapping[str, str]) -> tuple[int, ...]:
    """Read NSpid, or VPid as OpenVZ's kernels write it, which are older than NSpid.

    Empty where the kernel writes neither.
    """
    if "NSpid" not in status and "VPid" not in status:
        return ()
    numbers = status["NSpid"].split() if "NSpid" in status else [str(pid), status["VPid"]]
    return tuple(int(n) for n in numbers if n.isdigit())


def _hexadecimal(text: str | None) -> int | None:
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None


def _flag(text: str | None) -> bool | None:
    return text == "1" if text is not None else None
