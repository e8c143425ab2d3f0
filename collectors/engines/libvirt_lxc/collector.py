"""libvirt's LXC driver: its controller processes, and the domains that libvirt keeps as XML.

``instance`` is empty (or the cgroup of the container that libvirt runs in),
``engine_id`` is the domain's UUID, or its name where the XML cannot be read. libvirt keeps no date
of creation, so there is none.

The controller is in the container's own cgroup (src/lxc/lxc_cgroup.c adds both), so the counters of
that cgroup include it.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from collectors.engines.libvirt_lxc.discovery import (
    Controller,
    defined_domains,
    find_controllers,
    running_domain,
)
from collectors.engines.libvirt_lxc.domain import Domain
from collectors.engines.shared.cgroup_paths import find_cgroup
from collectors.engines.shared.first_process import boots
from collectors.engines.shared.processes import running_state, started_at
from collectors.engines.shared.turns import Turns, owner_of
from collectors.engines.shared.views import instance_prefix
from collectors.facts import Sighting, State
from collectors.formats.command_line import boots_system

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collectors.contract import Context
from collectors.facts import Process

_CGROUP = re.compile(r"machine-lxc\\x2d.+\.scope|.+\.libvirt-lxc")
"""With systemd machine-lxc\\x2d4711\\x2dname.scope, else /machine/lxc-4711-name.libvirt-lxc."""


class LibvirtLxcCollector:
    """Sees the containers of libvirt, running or defined."""

    name = "libvirt-lxc"

    def __init__(self) -> None:
        self._turns: Turns[Sighting] = Turns()

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return which domains there are; those of libvirts in containers share a time budget."""
        controllers: dict[str, list[Controller]] = {}
        for controller in find_controllers(ctx):
            controllers.setdefault(owner_of(ctx, controller.process), []).append(controller)
        running = [_running(ctx, controller) for controller in controllers.pop("", ())]
        names = {s.name for s in running}
        stopped = [
            replace(_sighting(domain), state=State.EXITED)
            for domain in defined_domains(ctx)
            if domain.name not in names
        ]
        nested = {owner: partial(_all_running, ctx, found) for owner, found in controllers.items()}
        return [*running, *stopped, *self._turns.read(nested, ctx.wake, first=ctx.first)]

    def close(self) -> None:
        """Nothing is kept open."""


def _all_running(ctx: Context, controllers: Iterable[Controller]) -> Iterator[Sighting]:
    for controller in controllers:
        yield _running(ctx, controller)


def _running(ctx: Context, controller: Controller) -> Sighting:
    domain, init = running_domain(ctx, controller), controller.init
    name = controller.name
    base = _sighting(domain or Domain(name=name, uuid=name, command=()))
    if domain is None:
        base = replace(base, boots=None)
    return replace(
        base,
        instance=instance_prefix(ctx, controller.process),
        state=running_state(ctx, init),
        init=init.id,
        cgroup=_cgroup_of(init),
        started=started_at(ctx, init),
        boots=boots(domain.command, init) if domain and domain.command else base.boots,
    )


def _sighting(domain: Domain) -> Sighting:
    """Return what does not depend on whether the container runs."""
    return Sighting(
        collector="libvirt-lxc",
        engine="libvirt-lxc",
        engine_id=domain.uuid,
        name=domain.name,
        hostname=domain.name,
        boots=boots_system(domain.command) if domain.command else True,
        command=domain.command,
        network_mode=domain.network,
        rootfs=domain.rootfs,
        mounts=domain.mounts,
    )


def _cgroup_of(init: Process) -> str | None:
    return find_cgroup(init, lambda path: bool(_CGROUP.fullmatch(posixpath.basename(path))))
