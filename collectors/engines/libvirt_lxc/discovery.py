"""Which domains of libvirt's LXC driver there are: controllers that run, and files of libvirt."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.libvirt_lxc.domain import Domain, parse_domain
from collectors.engines.shared.first_process import first_inside
from collectors.engines.shared.processes import binary_name
from collectors.engines.shared.views import on_host, open_root
from collectors.formats.command_line import parse_command_line
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.contract import Context
    from collectors.facts import Process

_PROGRAM = "libvirt_lxc"
_RUNNING = "run/libvirt/lxc"
_DEFINED = "etc/libvirt/lxc"
_XML_LIMIT = 1 << 20
_OPTIONS = frozenset(
    {"name", "console", "console-fd", "security", "handshakefd", "handshakefds", "veth"}
    | {"passfd", "share-net", "share-ipc", "share-uts"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """A libvirt_lxc process: it stays outside of the container that it started."""

    process: Process
    name: str
    """Name of its domain."""
    init: Process
    """The first process of the container."""


def find_controllers(ctx: Context) -> Iterator[Controller]:
    """Return the controllers whose container runs.

    On the host it is root's alone: libvirt has no LXC driver for a user's session, drivers.html.
    """
    children = ctx.processes.children()
    for process in ctx.processes:
        if binary_name(process) != _PROGRAM or (process.uid and on_host(ctx, process)):
            continue
        line = parse_command_line(process.argv, "n:c:s:S:v:", _OPTIONS, stop=False)
        name = line.get("--name", "-n")
        init = first_inside(process, ctx, children)
        if name and "/" not in name and init is not None:
            yield Controller(process=process, name=name, init=init)


def running_domain(ctx: Context, controller: Controller) -> Domain | None:
    """Return the domain of a container that runs; None where its file cannot be read."""
    with suppress(HostReadError), open_root(ctx, controller.process) as root:
        return parse_domain(root.read(f"{_RUNNING}/{controller.name}.xml", _XML_LIMIT))
    return None


def defined_domains(ctx: Context) -> Iterator[Domain]:
    """Return the domains that are defined on the host, running or not."""
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
            yield domain
