"""systemd-nspawn: its own processes, what machined keeps of them, and machines that do not run.

``instance`` is empty for what machined knows or would know, whose names are unique on a host; a
machine that does not register (``--register=no``) has its directory or image there. ``engine_id``
is the machine's name. ``created`` is the birth time of the root directory.

A tree in /var/lib/machines is no container yet: images to clone from, chroots and half-done
downloads lie there, too, and nothing says that they ever ran. It is a machine that is stopped when
somebody set it up to run: with a .nspawn file of its name, or by enabling or adjusting its
systemd-nspawn@.service.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.nspawn.settings import (
    IMAGE_PATHS,
    IMAGES,
    SETTINGS_PATHS,
    Invocation,
    Settings,
    boots,
    find_settings,
    parse_invocation,
)
from collectors.engines.shared.birth import made_at
from collectors.engines.shared.processes import running_state
from collectors.engines.shared.supervised import (
    files_of,
    first_inside,
    hierarchies,
    instance_of,
    is_inside,
    prefixes,
    program,
    started_at,
)
from collectors.facts import Sighting, State
from collectors.formats.numbers import parse_decimal
from collectors.hostfs import HostReadError
from collectors.kernel.cgroups import contains
from collectors.kernel.processes import read_mounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.contract import Context
    from collectors.facts import Process
    from collectors.hostfs import Dir

_PROGRAM = "systemd-nspawn"
_MACHINES = "run/systemd/machines"
_UNITS = "etc/systemd/system"
_UNIT = re.compile(r"systemd-nspawn@(.+)\.service(\.d)?")
_PROPAGATED = re.compile(r"/systemd/nspawn/propagate/([^/]+)$")
_INCOMING = ("/run/host/incoming", "/run/systemd/nspawn/incoming")


@dataclass(frozen=True, slots=True)
class Registration:
    """What machined keeps of a machine in /run/systemd/machines: src/machine/machine.c."""

    name: str
    unit: str
    service: str
    kind: str
    """``container`` or ``vm``."""
    root: str
    leader: int


class NspawnCollector:
    """Sees the containers of systemd-nspawn, with machined and without."""

    name = "nspawn"

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return which machines there are, running or not."""
        ctx.watch(f"/{_MACHINES}", files=True)
        registered = _registrations(ctx.host.root)
        found = {s.init: s for s in _kept(ctx, registered)}
        for registration in registered.values():
            sighting = _registered_only(ctx, registration)
            if sighting is not None:
                found.setdefault(sighting.init, sighting)
        running = {s.engine_id for s in found.values() if s.instance == ""}
        return [*found.values(), *_stopped(ctx.host.root, running)]

    def close(self) -> None:
        """Nothing is kept open."""


def _kept(ctx: Context, registered: Mapping[int, Registration]) -> Iterable[Sighting]:
    """Say what the running systemd-nspawn processes keep."""
    children = ctx.processes.children()
    for process in ctx.processes:
        parent = ctx.processes.get(process.ppid)
        if program(process) != _PROGRAM or (
            # With --as-pid2 the first process inside is a copy of the one outside.
            parent is not None and program(parent) == _PROGRAM and is_inside(process, parent)
        ):
            continue
        init = first_inside(process, ctx, children, own_pids=True)
        if init is not None:
            yield _running(ctx, process, init, registered.get(init.pid))


def _running(
    ctx: Context, outside: Process, init: Process, registration: Registration | None
) -> Sighting:
    try:
        cwd = ctx.host.proc.readlink(f"{outside.pid}/cwd")
    except HostReadError:
        cwd = ""
    told = parse_invocation(outside.argv, cwd)
    name = registration.name if registration else _full_name(ctx, told, init)
    place = "" if registration or told.registers else told.directory or told.image
    created, settings = None, None
    with suppress(HostReadError), files_of(ctx, outside) as root:
        settings = find_settings(root, name)
        if not told.image and not told.ephemeral:
            directory = told.directory or f"{IMAGES}/{name}"
            created = made_at(root, directory.lstrip("/"))
    return Sighting(
        collector="nspawn",
        engine="nspawn",
        instance=instance_of(place, outside, ctx.facts),
        engine_id=name,
        name=name,
        state=running_state(ctx, init),
        image=told.source,
        init=init.id,
        cgroup=machine_cgroup(init, outside, name, registration.unit if registration else ""),
        hostname=told.hostname or (settings.hostname if settings else "") or name,
        created=created,
        started=started_at(ctx.facts, init.id),
        boots=boots(told, settings),
        command=told.command or (settings.command if settings else ()),
        auto_remove=told.ephemeral,
        rootfs="" if told.ephemeral else registration.root if registration else told.directory,
        mounts=told.mounts or (settings.mounts if settings else ()),
    )


def _full_name(ctx: Context, told: Invocation, init: Process) -> str:
    """Return a machine's name; that of an ephemeral one ends in a number that argv does not show.

    nspawn mounts a directory of that name into it, which is believed where it fits the argv.
    """
    if not told.ephemeral or told.named:
        return told.machine
    with suppress(HostReadError):
        for mount in read_mounts(ctx.host, init.pid):
            found = _PROPAGATED.search(mount.root) if mount.target in _INCOMING else None
            if found and re.fullmatch(rf"{re.escape(told.machine)}-[0-9a-f]{{16}}", found[1]):
                return found[1]
    return told.machine


def _registered_only(ctx: Context, registration: Registration) -> Sighting | None:
    """Say what machined knows of a container whose nspawn could not be looked at.

    machined is asked by others, too, and its file stays when it crashes: the leader must be the
    first process of a pid namespace, in the unit's cgroup.
    """
    init = ctx.processes.get(registration.leader)
    if registration.service != _PROGRAM or init is None or init.inner_pid != 1:
        return None
    if len(init.ns_pids) < 2 or not any(
        part == registration.unit for path in hierarchies(init) for _, part in prefixes(path)
    ):
        return None
    return Sighting(
        collector="nspawn",
        engine="nspawn",
        engine_id=registration.name,
        name=registration.name,
        state=State.RUNNING,
        init=init.id,
        cgroup=machine_cgroup(init, None, registration.name, registration.unit),
        started=started_at(ctx.facts, init.id),
        rootfs=registration.root,
    )


def _registrations(root: Dir) -> dict[int, Registration]:
    """Read what machined keeps, by leader; machines that are no containers are left out."""
    found = {}
    try:
        names = root.listdir(_MACHINES)
    except HostReadError:
        return {}
    for name in names:
        if ":" in name:  # unit:machine-x.scope, a link back
            continue
        with suppress(HostReadError):
            registration = parse_registration(root.read_text(f"{_MACHINES}/{name}", 65536))
            if registration is not None and registration.kind == "container":
                found[registration.leader] = registration
    return found


def parse_registration(text: str) -> Registration | None:
    """Parse a file of machined's; None when it names no machine or no leader."""
    fields = dict(line.partition("=")[::2] for line in text.splitlines())
    name, leader = _unescape(fields.get("NAME", "")), parse_decimal(fields.get("LEADER", ""))
    if not name or leader is None:
        return None
    return Registration(
        name=name,
        unit=_unescape(fields.get("UNIT") or fields.get("SCOPE", "")),
        service=_unescape(fields.get("SERVICE", "")),
        kind=fields.get("CLASS", ""),
        root=_unescape(fields.get("ROOT", "")),
        leader=leader,
    )


def _unescape(text: str) -> str:
    # cescape() of systemd: a backslash is doubled, what is not printable written as in C.
    return re.sub(
        r"\\(x[0-9a-f]{2}|.)",
        lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 3 else m[1],
        text,
    )


def machine_cgroup(init: Process, outside: Process | None, name: str, unit: str) -> str | None:
    """Return the cgroup of a machine: its scope or service, not the payload in it.

    None where it has none of its own, as without machined on a host without systemd.
    """
    units = {unit, f"machine-{escape_unit(name)}.scope", f"systemd-nspawn@{name}.service"}
    for path in hierarchies(init):
        for prefix, part in prefixes(path):
            if part in units:
                return prefix
            payload = part == "payload" and (
                outside is None or not any(contains(prefix, o) for o in hierarchies(outside))
            )
            if payload:
                return prefix.removesuffix("/payload") or None
    return None


def escape_unit(name: str) -> str:
    r"""Escape a name for a unit's as systemd does: ``my-box`` is ``my\x2dbox``; systemd.unit(5)."""
    escaped = re.sub(
        r"[^A-Za-z0-9:_.]", lambda m: "".join(f"\\x{b:02x}" for b in m[0].encode()), name
    )
    return "\\x2e" + escaped[1:] if escaped.startswith(".") else escaped


def _stopped(root: Dir, running: set[str]) -> Iterable[Sighting]:
    """Return which machines are set up to run and do not."""
    for name in sorted(_set_up(root) - running):
        for images in IMAGE_PATHS:
            path = f"{images}/{name}"
            is_tree = root.exists(path.lstrip("/"))
            if is_tree or root.exists(f"{path}.raw".lstrip("/")):
                yield _set_up_machine(root, name, path, is_tree=is_tree)
                break


def _set_up_machine(root: Dir, name: str, path: str, *, is_tree: bool) -> Sighting:
    settings = find_settings(root, name) or Settings()
    return Sighting(
        collector="nspawn",
        engine="nspawn",
        engine_id=name,
        name=name,
        state=State.EXITED,
        image="" if is_tree else f"{name}.raw",
        cgroup=f"/machine.slice/systemd-nspawn@{name}.service",
        hostname=settings.hostname or name,
        created=made_at(root, path.lstrip("/")) if is_tree else None,
        # The unit says --boot and lets the .nspawn file override it.
        boots=settings.boot is not False,
        command=settings.command,
        rootfs=path if is_tree else "",
        mounts=settings.mounts,
    )


def _set_up(root: Dir) -> set[str]:
    """Name the machines that somebody made a .nspawn file for, or whose unit somebody touched."""
    found = set()
    for directory in SETTINGS_PATHS:
        with suppress(HostReadError):
            names = root.listdir(directory.lstrip("/"))
            found |= {n.removesuffix(".nspawn") for n in names if n.endswith(".nspawn")}
    with suppress(HostReadError):
        for directory in root.listdir(_UNITS):
            unit = _UNIT.fullmatch(directory)
            if unit is not None:
                found.add(unit[1])
            elif directory.endswith(".wants"):
                with suppress(HostReadError):
                    wanted = map(_UNIT.fullmatch, root.listdir(f"{_UNITS}/{directory}"))
                    found |= {unit[1] for unit in wanted if unit is not None}
    return found
