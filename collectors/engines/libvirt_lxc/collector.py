"""libvirt's LXC driver: its controller processes, and the domains that libvirt keeps as XML.

``instance`` is empty (with the mount namespace behind it when that libvirt runs in a container),
``engine_id`` is the domain's UUID, or its name where the XML may not be read. libvirt keeps no
date of creation, so there is none.

The controller sits in the container's own cgroup: src/lxc/lxc_cgroup.c adds both. So whatever is
counted there includes it.
"""

from __future__ import annotations

import posixpath
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collectors.engines.shared.processes import running_state
from collectors.engines.shared.supervised import (
    boots_system,
    files_of,
    first_inside,
    hierarchies,
    instance_of,
    parse_command_line,
    prefixes,
    program,
    started_at,
)
from collectors.facts import Sighting, State
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from collectors.contract import Context
    from collectors.facts import Process

_PROGRAM = "libvirt_lxc"
_RUNNING = "run/libvirt/lxc"
_DEFINED = "etc/libvirt/lxc"
_XML_LIMIT = 1 << 20
_CGROUP = re.compile(r"machine-lxc\\x2d.+\.scope|.+\.libvirt-lxc")
"""With systemd machine-lxc\\x2d4711\\x2dname.scope, else /machine/lxc-4711-name.libvirt-lxc."""

_OPTIONS = frozenset(
    {"name", "console", "console-fd", "security", "handshakefd", "handshakefds", "veth"}
    | {"passfd", "share-net", "share-ipc", "share-uts"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What libvirt's XML says of a container, https://libvirt.org/formatdomain.html."""

    name: str
    uuid: str
    command: tuple[str, ...]
    rootfs: str = ""
    mounts: tuple[str, ...] = ()
    network: str = ""


class LibvirtLxcCollector:
    """Sees the containers of libvirt, running or defined."""

    name = "libvirt-lxc"

    def collect(self, ctx: Context) -> Iterable[Sighting]:
        """Return which domains there are."""
        children = ctx.processes.children()
        found = []
        for process in ctx.processes:
            if program(process) != _PROGRAM:
                continue
            line = parse_command_line(process.argv, "n:c:s:S:v:", _OPTIONS, stop=False)
            name = line.get("--name", "-n")
            init = first_inside(process, ctx, children)
            if name and "/" not in name and init is not None:
                found.append(_running(ctx, process, name, init))
        running = {(s.instance, s.name) for s in found}
        return [*found, *(s for s in _defined(ctx) if ("", s.name) not in running)]

    def close(self) -> None:
        """Nothing is kept open."""


def _running(ctx: Context, controller: Process, name: str, init: Process) -> Sighting:
    domain = None
    with suppress(HostReadError), files_of(ctx, controller) as root:
        domain = parse_domain(root.read(f"{_RUNNING}/{name}.xml", _XML_LIMIT))
    known = _sighting(domain or Domain(name=name, uuid=name, command=()))
    return replace(
        known,
        instance=instance_of("", controller, ctx.facts),
        state=running_state(ctx, init),
        init=init.id,
        cgroup=_cgroup_of(init),
        started=started_at(ctx.facts, init.id),
        boots=known.boots if domain else None,
    )


def _defined(ctx: Context) -> Iterable[Sighting]:
    root = ctx.host.root
    try:
        names = root.listdir(_DEFINED)
    except HostReadError:
        return
    for name in sorted(names):
        if not name.endswith(".xml"):
            continue
        with suppress(HostReadError):
            domain = parse_domain(root.read(f"{_DEFINED}/{name}", _XML_LIMIT))
            if domain is None:
                root.malformed(f"{_DEFINED}/{name}", "no domain of libvirt's LXC driver")
                continue
            yield replace(_sighting(domain), state=State.EXITED)


def _sighting(domain: Domain) -> Sighting:
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
    for path in hierarchies(init):
        for prefix, part in prefixes(path):
            if _CGROUP.fullmatch(part):
                return prefix
    return None


def parse_domain(data: bytes) -> Domain | None:
    """Parse a domain's XML, also inside a domstatus; None when it is none of the LXC driver's.

    A document type is refused, as entities are defined in it, and so is UTF-16, which hides one:
    libvirt writes neither.
    """
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - few hosts need it

    if b"<!DOCTYPE" in data or b"\0" in data:
        return None
    try:
        top = ET.fromstring(data)  # noqa: S314 - no document type, and of bounded size
    except ET.ParseError:
        return None
    domain = top if top.tag == "domain" else top.find("domain")
    if domain is None or domain.get("type") != "lxc":
        return None
    name = domain.findtext("name", "").strip()
    if not name:
        return None
    sources = dict(_directories(domain))
    init = domain.findtext("os/init", "").strip()
    arguments = (argument.text or "" for argument in domain.findall("os/initarg"))
    return Domain(
        name=name,
        uuid=domain.findtext("uuid", "").strip() or name,
        command=(init, *arguments) if init else (),
        rootfs=sources.pop("/", ""),
        mounts=tuple(sources.values()),
        network=_network(domain),
    )


def _directories(domain: Element) -> Iterable[tuple[str, str]]:
    """Return what is mounted where, of the directories of the host that are."""
    for filesystem in domain.findall("devices/filesystem"):
        source, target = filesystem.find("source"), filesystem.find("target")
        directory = source.get("dir", "") if source is not None else ""
        if directory.startswith("/") and target is not None:
            yield posixpath.normpath(target.get("dir", "")), directory


def _network(domain: Element) -> str:
    interface = domain.find("devices/interface")
    if interface is None:
        # Without interfaces of its own it keeps the host's network, unless told otherwise.
        return "none" if domain.find("features/privnet") is not None else "host"
    source = interface.find("source")
    names = (source.get("network"), source.get("bridge")) if source is not None else ()
    return next(filter(None, (*names, interface.get("type"))), "")
