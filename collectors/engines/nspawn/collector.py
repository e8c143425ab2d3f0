"""systemd-nspawn: its own processes, what machined keeps of them, and machines that do not run.

``instance`` is empty for machines that are, or would be, registered with machined: their names are
unique on a host. A machine that does not register (``--register=no``) has its directory or image
there. ``engine_id`` is the machine's name. ``created`` is the birth time of the root directory.
"""

from __future__ import annotations

import posixpath
import re
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from collectors.engines.nspawn.cgroups import machine_cgroup
from collectors.engines.nspawn.discovery import (
    PROGRAM,
    Image,
    Supervisor,
    find_images,
    find_supervisors,
)
from collectors.engines.nspawn.registration import MACHINES, Registration, read_registrations
from collectors.engines.nspawn.settings import (
    IMAGES,
    Invocation,
    Settings,
    boots_by_options,
    find_settings,
    parse_invocation,
)
from collectors.engines.shared.cgroup_paths import find_cgroup
from collectors.engines.shared.files import made_at
from collectors.engines.shared.first_process import boots
from collectors.engines.shared.processes import running_state, started_at
from collectors.engines.shared.turns import Turns, owner_of
from collectors.engines.shared.views import instance_prefix, on_host, open_root
from collectors.facts import Sighting, State
from collectors.hostfs import HostReadError
from collectors.kernel.processes import read_mounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from collectors.contract import Context
    from collectors.facts import Process, ProcessId
    from collectors.hostfs import Dir

_PROPAGATED = re.compile(r"/systemd/nspawn/propagate/([^/]+)$")
_INCOMING = ("/run/host/incoming", "/run/systemd/nspawn/incoming")


class NspawnCollector:
    """Sees the containers of systemd-nspawn, with machined and without."""

    name = "nspawn"

    def __init__(self) -> None:
        self._turns: Turns[Sighting] = Turns()

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return which machines there are, running or not.

        What users and containers own shares a time budget.
        """
        ctx.watch(f"/{MACHINES}", files=True)
        registrations = read_registrations(ctx.host.root)
        supervisors: dict[str, list[Supervisor]] = {}
        for supervisor in find_supervisors(ctx):
            supervisors.setdefault(owner_of(ctx, supervisor.process), []).append(supervisor)
        running: dict[ProcessId, Sighting] = {}
        for supervisor in supervisors.pop("", ()):
            init = supervisor.init
            running[init.id] = _running(ctx, supervisor, registrations.get(init.pid))
        of_strangers = {s.init.id for found in supervisors.values() for s in found}
        for registration in registrations.values():
            leader = ctx.processes.get(registration.leader)
            if (
                leader is not None
                and leader.id not in of_strangers
                and _is_leader(leader, registration)
            ):
                running.setdefault(leader.id, _registered_only(ctx, leader, registration))
        names = {s.engine_id for s in running.values() if s.instance == ""}
        root = ctx.host.root
        stopped = [_stopped(root, image) for image in find_images(root, running=names)]
        strangers = {
            owner: partial(_all_running, ctx, found, registrations)
            for owner, found in supervisors.items()
        }
        return [
            *running.values(),
            *stopped,
            *self._turns.read(strangers, ctx.wake, first=ctx.first),
        ]

    def close(self) -> None:
        """Nothing is kept open."""


def _all_running(
    ctx: Context, supervisors: Iterable[Supervisor], registrations: Mapping[int, Registration]
) -> Iterator[Sighting]:
    for supervisor in supervisors:
        yield _running(ctx, supervisor, registrations.get(supervisor.init.pid))


def _running(ctx: Context, supervisor: Supervisor, registration: Registration | None) -> Sighting:
    outside, init = supervisor.process, supervisor.init
    try:
        cwd = ctx.host.proc.readlink(f"{outside.pid}/cwd")
    except HostReadError:
        cwd = ""
    invocation = parse_invocation(outside.argv, cwd)
    name = registration.name if registration else _full_name(ctx, invocation, init)
    user = (outside.uid or 0) if on_host(ctx, outside) else 0
    # Of a user's, machined's own record alone is believed: what root registers is called so, too.
    registers = registration is not None or (invocation.registers and not user)
    path = "" if registers else invocation.directory or invocation.image
    prefix = f"{user}:" if user and not registers else instance_prefix(ctx, outside)
    created, settings = None, None
    with suppress(HostReadError), open_root(ctx, outside) as root:
        settings = find_settings(root, name)
        if not invocation.image and not invocation.ephemeral:
            directory = invocation.directory or f"{IMAGES}/{name}"
            created = made_at(root, directory.lstrip("/"))
    rootfs = registration.root if registration else invocation.directory
    command = invocation.command or (settings.command if settings else ())
    # NixOS's containers boot by a script of theirs, and nobody says --boot.
    is_system = boots_by_options(invocation, settings) or bool(command and boots(command, init))
    return Sighting(
        collector="nspawn",
        engine="nspawn",
        instance=prefix + path,
        engine_id=name,
        name=name,
        state=running_state(ctx, init),
        image=invocation.source,
        init=init.id,
        cgroup=machine_cgroup(init, outside, name, registration.unit if registration else ""),
        hostname=invocation.hostname or (settings.hostname if settings else "") or name,
        created=created,
        started=started_at(ctx, init),
        boots=is_system,
        command=command,
        auto_remove=invocation.ephemeral,
        rootfs="" if invocation.ephemeral else rootfs,
        mounts=invocation.mounts or (settings.mounts if settings else ()),
    )


def _full_name(ctx: Context, invocation: Invocation, init: Process) -> str:
    """Return a machine's name; that of an ephemeral one ends in a number that argv does not show.

    nspawn mounts a directory of that name into it, which is believed where it fits the argv.
    """
    if not invocation.ephemeral or invocation.named:
        return invocation.machine
    pattern = re.compile(rf"{re.escape(invocation.machine)}-[0-9a-f]{{16}}")
    with suppress(HostReadError):
        for mount in read_mounts(ctx.host, init.pid):
            source = _PROPAGATED.search(mount.root) if mount.target in _INCOMING else None
            if source and pattern.fullmatch(source[1]):
                return source[1]
    return invocation.machine


def _is_leader(process: Process, registration: Registration) -> bool:
    """Return whether a registration of systemd-nspawn's is true of a process.

    Other programs register machines, too, and the file stays when machined crashes: the leader
    must be the first process of a pid namespace, in the cgroup of the registered unit.
    """
    if registration.service != PROGRAM or process.inner_pid != 1 or len(process.ns_pids) < 2:
        return False
    unit = find_cgroup(process, lambda path: posixpath.basename(path) == registration.unit)
    return unit is not None


def _registered_only(ctx: Context, leader: Process, registration: Registration) -> Sighting:
    """Return what machined keeps of a machine whose systemd-nspawn process cannot be read."""
    return Sighting(
        collector="nspawn",
        engine="nspawn",
        engine_id=registration.name,
        name=registration.name,
        state=running_state(ctx, leader),
        init=leader.id,
        cgroup=machine_cgroup(leader, None, registration.name, registration.unit),
        started=started_at(ctx, leader),
        rootfs=registration.root,
    )


def _stopped(root: Dir, image: Image) -> Sighting:
    name, path = image.machine, image.path
    settings = find_settings(root, name) or Settings()
    return Sighting(
        collector="nspawn",
        engine="nspawn",
        engine_id=name,
        name=name,
        state=State.EXITED if image.has_run else State.CREATED,
        image="" if image.is_tree else f"{name}.raw",
        cgroup=f"/machine.slice/{image.unit or f'systemd-nspawn@{name}.service'}",
        hostname=settings.hostname or name,
        created=made_at(root, path.lstrip("/")) if image.is_tree else None,
        # The unit has --boot, which the .nspawn file may override; NixOS's boot without it.
        boots=settings.boot is not False,
        command=settings.command,
        rootfs=path if image.is_tree else "",
        mounts=settings.mounts,
    )
