"""What one pass reads of a node, and what it shows of each container."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.openvz.cgroups import CgroupView, ContainerCgroups, parent_cgroup
from collectors.engines.openvz.config import Configuration, ConfigurationReader
from collectors.engines.openvz.discovery import expand
from collectors.engines.openvz.inits import container_of, find_inits
from collectors.engines.openvz.kernel import (
    Kernel,
    Quota,
    Share,
    VeInfo,
    cpu_times,
    read_cpus,
    read_kernel,
)
from collectors.engines.openvz.storage import Storage
from collectors.facts import OpenvzFacts, Process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.contract import Context
    from collectors.engines.openvz.vzlist.background import Answer
    from collectors.engines.openvz.vzlist.fields import Listed
    from collectors.hostfs import HostFS

NO_CGROUPS = 6
"""The version whose containers have no cgroups with files of their own."""

_TICKS = os.sysconf("SC_CLK_TCK")
_REREAD_AFTER = 60.0
"""Seconds after which cgroups and configuration are read again in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Everything that one pass has read of the node."""

    ctx: Context
    on_node: bool
    """The kernel is that of a node; else there is only an answer of vzlist."""
    kernel: Kernel
    configuration: Configuration
    storage: Storage
    inits: Mapping[str, Process]
    inhabited: frozenset[str]
    """Containers with a process in the process table."""
    cgroups: Mapping[str, CgroupView]
    parent: str | None
    """Cgroup in which this node puts its containers."""
    answer: Answer | None
    """Vzlist's last good answer."""

    def listed(self, ctid: str) -> Listed | None:
        """Return a container as vzlist listed it."""
        return self.answer.containers.get(ctid) if self.answer is not None else None

    def ctids(self) -> set[str]:
        """Return every container that any source has.

        The configuration alone counts only on a node, and where it is newer than vzlist's answer:
        files of containers that were removed long ago are left on many hosts.
        """
        ctids = {c for c, view in self.cgroups.items() if view.running}
        ctids |= self.inhabited.union(self.kernel.running or ())
        answer, configuration = self.answer, self.configuration
        if answer is not None:
            removed_since = (configuration.changed or 0.0) > answer.as_of
            ctids |= {
                c for c in answer.containers if not (removed_since and configuration.lacks(c))
            }
        if self.on_node:
            since = answer.as_of if answer is not None else 0.0
            ctids |= {c for c, file in configuration.containers.items() if file.changed >= since}
        return ctids

    def is_alive(self, ctid: str) -> bool | None:
        """Return whether the kernel has the container now; None where the agent cannot tell."""
        if ctid in self.inhabited or ctid in (self.kernel.running or ()):
            return True
        if self.kernel.running is not None:
            return False
        view = self.cgroups.get(ctid)
        return view.running if view is not None else None

    def cgroup(self, ctid: str) -> str | None:
        """Return the cgroup of a container, or the one that it will get when it is started."""
        view = self.cgroups.get(ctid)
        if view is not None and view.path:
            return view.path
        return f"{self.parent}/{ctid}" if self.parent is not None else None

    def start_of(self, ctid: str) -> float | None:
        """Return when a container was started, by the best source that has it."""
        ctx, init = self.ctx, self.inits.get(ctid)
        listed, stat = self.listed(ctid), self.kernel.stats.get(ctid)
        if init is not None and ctx.facts.boot_time:
            return ctx.facts.boot_time + init.id.start_ticks / _TICKS
        if stat is not None and stat.uptime and self.kernel.version >= 7:
            return ctx.now - stat.uptime / 1e9
        if self.answer is not None and listed is not None and listed.facts.uptime_seconds:
            return self.answer.as_of - listed.facts.uptime_seconds
        return None

    def kernel_facts(self, ctid: str, started: float | None) -> OpenvzFacts:
        """Return what the kernel's files hold of a container that runs."""
        kernel, view = self.kernel, self.cgroups.get(ctid)
        info = (kernel.running or {}).get(ctid, VeInfo(0, ()))
        share = kernel.shares.get(ctid, Share(None, None))
        quota = kernel.quotas.get(ctid, Quota(""))
        base = view.facts if view is not None else OpenvzFacts(ctid=ctid)
        uptime = max(self.ctx.now - started, 0.0) if started is not None else None
        init = self.inits.get(ctid)
        if init is not None and kernel.uptime is not None:
            # Independent of the wall clock, which may be set.
            uptime = max(kernel.uptime - init.id.start_ticks / _TICKS, 0.0)
        stat = kernel.stats.get(ctid)
        times = cpu_times(stat, kernel.version, uptime) if stat is not None else None
        configured = self.configuration.containers.get(ctid)
        paths = self.configuration.paths
        private = configured.private if configured else expand(paths.private, ctid)
        return OpenvzFacts(
            ctid=ctid,
            addresses=info.addresses,
            layout=self.storage.layout(private),
            beancounters=kernel.beancounters.get(ctid, ()),
            disk_used_bytes=quota.used_bytes,
            disk_soft_bytes=quota.soft_bytes,
            disk_hard_bytes=quota.hard_bytes,
            inodes_used=quota.inodes,
            inodes_soft=quota.inodes_soft,
            inodes_hard=quota.inodes_hard,
            load=base.load,
            uptime_seconds=uptime,
            cpu_limit_ratio=base.cpu_limit_ratio or share.limit_ratio,
            cpu_units=base.cpu_units or share.units,
            cpus=base.cpus or read_cpus(self.ctx.host, ctid),
            cpu_seconds=times.total if times else None,
            cpu_as_of=self.ctx.now if times else None,
            cpu_user_seconds=times.user if times else None,
            cpu_system_seconds=times.system if times else None,
            processes=info.processes or None,
            io_limit_bytes_per_second=base.io_limit_bytes_per_second,
            io_limit_operations_per_second=base.io_limit_operations_per_second,
        )


class NodeReader:
    """Reads a node; in a light pass only what is cheap or new."""

    def __init__(self) -> None:
        self._configurations = ConfigurationReader()
        self._views: Mapping[str, CgroupView] = {}
        self._viewed_at = 0.0
        self.configured = 0
        """How many containers had a configuration in the last pass."""

    def configuration_changed(self, host: HostFS) -> float | None:
        """Return when a configuration was last added or removed."""
        return self._configurations.changed(host)

    def read(self, ctx: Context, answer: Answer | None, *, on_node: bool) -> Node:
        """Read all that the pass needs."""
        kernel = read_kernel(ctx.host) if on_node else Kernel()
        in_full = ctx.full or ctx.now - self._viewed_at >= _REREAD_AFTER
        configuration = self._configurations.read(ctx.host, full=in_full)
        self.configured = len(configuration.containers)
        inhabited = frozenset(filter(None, map(container_of, ctx.processes)))
        cgroups: Mapping[str, CgroupView] = {}
        if on_node and kernel.version != NO_CGROUPS:
            # A light pass reads new ones only, but in full now and then: no event tells of a pause.
            # A view that is older than vzlist's answer must not be held against it.
            if in_full or (answer is not None and self._viewed_at <= answer.as_of):
                self._views, in_full = {}, True
            cgroups = self._read_cgroups(ctx, inhabited.union(kernel.running or ()))
        self._views = cgroups
        if in_full:
            self._viewed_at = ctx.now
        inits = find_inits(ctx.processes)
        return Node(
            ctx=ctx,
            on_node=on_node,
            kernel=kernel,
            configuration=configuration,
            storage=Storage(ctx.host, configuration.paths),
            inits=inits,
            inhabited=inhabited,
            cgroups=cgroups,
            parent=parent_cgroup(inits.values(), kernel.version),
            answer=answer,
        )

    def _read_cgroups(self, ctx: Context, running: frozenset[str]) -> dict[str, CgroupView]:
        groups = ContainerCgroups(ctx.host, ctx.facts.cgroups.hierarchies)
        ctids = running.union(groups.ctids())
        return {ctid: self._views.get(ctid) or groups.view(ctid) for ctid in ctids}
