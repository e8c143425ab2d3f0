"""All counters of one container: its cgroups' files, its network, its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.hostfs import HostReadError, or_none
from collectors.kernel.cgroups import UNIFIED
from collectors.kernel.counters import parse, processes
from collectors.kernel.counters.files import CgroupFiles
from collectors.kernel.counters.model import Draft
from collectors.kernel.counters.sources import Scalar, Table, working_set
from collectors.kernel.processes import parse_stat

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from collectors.hostfs import Dir, HostFS
    from collectors.kernel.counters.calls import Calls
    from collectors.kernel.counters.devices import Devices
    from collectors.kernel.counters.model import Counters, Target
    from collectors.kernel.counters.parse import Rows
    from collectors.kernel.counters.sources import Source

_PROCS_HIERARCHIES = (UNIFIED, "pids", "memory", "cpu", "cpuacct", "name=systemd")
_TASKS_FILES = (("pids", "tasks"), (UNIFIED, "cgroup.threads"))
_SOCKETS = (
    ("tcp", processes.count_tcp, (Table.TCP, Table.TCP6)),
    ("udp", processes.count_udp, (Table.UDP, Table.UDP6)),
)


class ContainerCounters:
    """Reads the counters of one container, and keeps what the next round needs."""

    def __init__(
        self,
        host: HostFS,
        target: Target,
        chosen: tuple[Source, ...],
        paths: Mapping[str, str],
        groups: Collection[str],
    ) -> None:
        self._host = host
        self.target: Target | None = target
        """What this reads; None when ``serves`` is to be asked again."""
        self.init = target.init
        self._own_network = target.own_network
        self._cgroups = target.cgroups
        self._groups = groups
        self._files = CgroupFiles(host.sys, chosen, paths)
        self.cpu = next(
            ((s.controller, paths[s.controller]) for s in chosen if Scalar.CPU_USAGE in s.scalars),
            None,
        )
        """The hierarchy and directory of its CPU time, which stay for the life of the container."""
        self._procs = next((paths[c] for c in _PROCS_HIERARCHIES if c in paths), None)
        self._tasks = next(
            ((paths[name], file) for name, file in _TASKS_FILES if name in paths), None
        )
        """Where the pids controller is, and the file that lists its threads."""
        self._counted_threads: tuple[bytes, list[int]] | None = None
        """What the pids controller and cgroup.procs said when threads were counted last."""
        self._process: Dir | None = None
        self._net_raw: bytes | None = None
        self._draft = Draft()
        self.was_read = False
        self._last = self._draft.finish()

    def serves(self, target: Target, chosen: tuple[Source, ...]) -> bool:
        """Return whether this reads what a target needs now."""
        return (
            target.init == self.init
            and target.own_network == self._own_network
            and target.cgroups == self._cgroups
            and chosen == self._files.sources
        )

    @property
    def kept(self) -> int:
        """How many descriptors are kept."""
        return self._files.kept + (self._process is not None)

    def keep(self, most: int) -> None:
        """Close the descriptors beyond the first ``most``."""
        self._files.keep(most - 1)
        if most < 1:
            self._close_process()

    def read(self, calls: Calls, devices: Devices, most_kept: int) -> Counters | None:
        """Read all counters; None when neither a cgroup nor a process is left."""
        self.was_read = True
        files = self._files
        files.read(calls, most_kept - 1, self._draft, devices)
        alive, changed = files.alive, files.changed
        if self.init is not None:
            if self._open_process():
                changed |= self._read_network(calls)
                alive = alive or self._runs()
            else:
                changed |= self._forget_network()
            if most_kept < 1:
                self._close_process()
        if files.ran and alive and "process" in self._groups:
            changed |= self._read_processes(calls)
        if not alive:
            return None
        if changed:
            working_set(self._draft.scalars)
            self._last = self._draft.finish()
        return self._last

    def _open_process(self) -> bool:
        """Open /proc/<pid> of its first process, if that is still the same one."""
        if self._process is not None:
            return True
        init = self.init
        if init is None:
            return False
        process = or_none(self._host.process, init.pid)
        if process is None:
            return False
        fields = parse_stat(or_none(process.read, "stat", 4096) or b"")
        if fields is None or fields.start_ticks != init.start_ticks:
            process.close()
            return False
        self._process = process
        return True

    def _close_process(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _runs(self) -> bool:
        """Return whether its first process exists; a container need not have a cgroup."""
        return self._process is not None and self._process.exists("stat")

    def _read_network(self, calls: Calls) -> bool:
        process = self._process
        if process is None or not self._own_network:
            return False
        changed = False
        if "network" in self._groups:
            try:
                raw = calls.read_records_at("net/dev", process.fd)
            except OSError as error:
                process.translate(error, "net/dev")
                self._close_process()
                return self._forget_network()
            if raw != self._net_raw:
                self._net_raw = raw
                self._show_interfaces(parse.net_dev(raw))
                changed = True
        for group, count, tables in _SOCKETS:
            if group in self._groups:
                changed = True
                for version, table in zip(("", "6"), tables, strict=True):
                    try:
                        count(process, version, self._draft)
                    except HostReadError:
                        self._draft.tables.pop(table, None)
        return changed

    def _show_interfaces(self, rows: Rows) -> None:
        tables = self._draft.tables
        shown = parse.busiest_interfaces(rows, tables.get(Table.NETWORK, ()))
        left_out = len(rows) - len(shown)
        tables[Table.NETWORK] = shown
        self._draft.scalars[Scalar.INTERFACES_LEFT_OUT] = b"%d" % left_out if left_out else None

    def _forget_network(self) -> bool:
        self._net_raw = None
        self._draft.scalars[Scalar.INTERFACES_LEFT_OUT] = None
        removed = [self._draft.tables.pop(t, None) for t in (Table.NETWORK, *_SOCKET_TABLES)]
        return any(rows is not None for rows in removed)

    def _read_processes(self, calls: Calls) -> bool:
        """Count processes, those of inner cgroups too, and their descriptors if asked for."""
        scalars = self._draft.scalars
        if self._procs is None:
            return False
        sys = self._host.sys
        try:
            raw = calls.read_records_at(f"{self._procs}/cgroup.procs", sys.fd)
        except OSError as error:
            sys.translate(error, f"{self._procs}/cgroup.procs")
            scalars[Scalar.PROCESSES] = None
            return True
        pids = processes.pids(raw)
        complete = True
        if scalars[Scalar.TASKS] != b"%d" % len(pids):
            # The others are in inner cgroups, or threads, or zombies.
            inner = processes.inner_cgroups(sys, self._procs)
            complete = inner is not None
            pids += processes.processes_in(sys, inner or ())
        scalars[Scalar.PROCESSES] = b"%d" % len(pids) if complete else None
        self._count_threads(pids if complete else None)
        if "descriptors" in self._groups:
            try:
                processes.count_descriptors(self._host.proc, pids, self._draft)
            except HostReadError:
                scalars[Scalar.DESCRIPTORS] = scalars[Scalar.SOCKETS] = None
        return True

    def _count_threads(self, pids: list[int] | None) -> None:
        """Tell threads from zombies, which the pids controller counts as well."""
        scalars = self._draft.scalars
        tasks = scalars[Scalar.TASKS]
        if self._tasks is None or tasks is None or pids is None or int(tasks) <= len(pids):
            self._counted_threads = None
            scalars[Scalar.THREADS], scalars[Scalar.ZOMBIES] = tasks, None
            return
        if self._counted_threads == (tasks, pids):
            return
        self._counted_threads = tasks, pids
        threads = processes.count_threads(self._host.sys, *self._tasks)
        zombies = 0 if threads is None else max(0, int(tasks) - threads)
        scalars[Scalar.THREADS] = b"%d" % (int(tasks) - zombies)
        scalars[Scalar.ZOMBIES] = b"%d" % zombies if zombies else None


_SOCKET_TABLES = tuple(table for _, _, tables in _SOCKETS for table in tables)
