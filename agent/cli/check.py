"""``tallyman check``: what can be read on this host, what cannot, and what is missing then."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from agent import phrases
from agent.cli.check_kernel import kernel_checks
from agent.cli.check_outcome import Check
from agent.cli.terminal import Cell, Column, Screen, table
from agent.sanitize import printable
from agent.serve.privileges import CAPABILITIES, hidden_processes
from collectors.catalogue import ENGINES
from collectors.facts import CgroupMode
from collectors.hostfs import Denied, Gone, HostReadError
from collectors.kernel.processes import parse_status
from collectors.kernel.virtualization import INITIAL_CGROUP_NAMESPACE, INITIAL_PID_NAMESPACE

if TYPE_CHECKING:
    from agent.model import CollectorHealth, Snapshot
    from collectors.hostfs import HostFS

_CAPABILITIES = (
    (
        ("CAP_SYS_PTRACE",),
        (
            "binaries, namespaces, root filesystem and network of processes of other users or with "
            "more privileges: their containers are known from engines alone, with less confidence "
            "or without a verdict, and those that no engine knows, or that share the host's pid "
            "namespace, are not found"
        ),
        False,
    ),
    (
        ("CAP_DAC_READ_SEARCH",),
        (
            "files that only other users may read: root filesystems of unprivileged containers, "
            "directories of podman and LXC in home directories"
        ),
        False,
    ),
    (
        ("CAP_SYS_ADMIN", "CAP_NET_ADMIN"),
        "whether a container has firewall rules; its listening sockets are read in a slower way",
        True,
    ),
    (
        ("CAP_SETUID", "CAP_SETGID"),
        "running the process that talks to the network as another user than root",
        True,
    ),
)
"""Capabilities, what is missing without them, and whether they are optional."""

_DESCRIPTORS_EACH = 14
"""Most cgroup files kept open per container; half of the limit is used for them."""

_SAMPLE = 50
"""Processes tried, in addition to the first one of each container."""

_STATE_DIRECTORIES = {
    path: " and ".join(engine.title for engine in ENGINES if path in engine.folders)
    for path in (path for engine in ENGINES for path in engine.folders)
}
"""Engines by the directory that holds their state."""

_REMEDIES = {
    "docker": "check that the daemon is running, and run as root or in the group of its socket "
    "(its members have the power of root)",
    "openvz": "let the agent run vzlist, or provide the output of vzlist in a file "
    "(--collector.openvz.vzlist-command, --collector.openvz.vzlist-file)",
}
"""Specific advice by collector that fails."""

_LOST = (
    "names, images and labels that only this engine knows, and its stopped containers; running "
    "ones are still found through the kernel"
)

_LOST_IN_PART = {
    "docker": "what only its API tells, such as the sizes of images; names, images, labels and "
    "stopped containers are read from its disk",
    "openvz": "limits, use and addresses that only vzlist tells; which containers there are, "
    "running or stopped, is read from the kernel and the configuration",
}
"""By collector that fails and shows containers all the same."""


def run(host: HostFS, snapshot: Snapshot | None, problem: str = "") -> list[Check]:
    """Run all checks. ``snapshot`` is the result of a scan; None: there is none.

    ``problem`` says why there is none; without one, it did not end in time.
    """
    checks = [
        *_privileges(host),
        _processes(host, snapshot),
        *kernel_checks(host),
        *_directories(host),
        _descriptors(),
    ]
    if snapshot is None:
        checks.append(
            Check(
                name="first scan",
                good=False,
                found=problem or "it did not end in time",
                lost="everything",
                remedy="read what is written on standard error"
                if problem
                else "try again with --timeout=2m, and read the log",
            )
        )
        return checks
    return (
        checks
        + [_pid_namespace(snapshot), _cgroups(snapshot), *_cgroup_namespace(host)]
        + [_collector(health) for health in snapshot.collectors]
    )


_STATES = {
    (True, True): Cell("ok", "green"),
    (True, False): Cell("ok", "green"),
    (False, True): Cell("less", "yellow"),
    (False, False): Cell("LOST", "red"),
}


def as_text(checks: list[Check], screen: Screen) -> Iterator[str]:
    """Return the table of all checks, with what to do about those that fail."""
    heads = (Column("CHECK"), Column(""), Column("FOUND", 30, wrap=True))
    rows = [
        (
            Cell(printable(check.name)),
            _STATES[check.good, check.optional],
            Cell(printable(check.found)),
        )
        for check in checks
    ]
    head, *body = table(heads, rows, screen)
    yield from head
    for check, lines in zip(checks, body, strict=True):
        yield from lines
        if not check.good:
            yield from screen.wrap(f"lost: {check.lost}", "    ")
            yield from screen.wrap(f"to do: {check.remedy}", "    ")
    lost = sum(check.failed for check in checks)
    yield ""
    yield f"{lost} of {len(checks)} checks failed." if lost else "Everything can be read."


def _privileges(host: HostFS) -> Iterator[Check]:
    """Check the capabilities that the scout would have, which are those of this process."""
    try:
        status = parse_status(host.proc.read("self/status", 65536))
        held = int(status.get("CapEff", "0"), 16)
    except (HostReadError, ValueError):
        held = 0
    who = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
    for names, lost, optional in _CAPABILITIES:
        missing = [name for name in names if not held >> CAPABILITIES[name] & 1]
        if optional and "CAP_SETUID" in names and os.geteuid() != 0:
            continue  # this is another user already
        shown = " and ".join(missing or names)
        yield Check(
            name=names[0],
            good=not missing,
            optional=optional,
            found=f"{who} {'without' if missing else 'with'} {shown}",
            lost=lost,
            remedy=f"run as root, or give {shown}",
        )
    if hidden_processes(host) is not None and not held >> CAPABILITIES["CAP_SYS_PTRACE"] & 1:
        yield Check(
            name="hidepid",
            good=False,
            found="/proc is mounted with hidepid",
            lost="processes of other users, and their containers unless an engine reports them",
            remedy="give CAP_SYS_PTRACE, or mount /proc with hidepid=0",
        )


def _pid_namespace(snapshot: Snapshot) -> Check:
    namespace, inside = snapshot.host.namespaces.pid, phrases.inside(snapshot.host)
    # The kernel of OpenVZ 6 does not show namespaces at all.
    if namespace == INITIAL_PID_NAMESPACE or (namespace is None and not inside):
        return Check(name="pid namespace", good=True, found="the host's")
    kind = f", {snapshot.host.virtualization}" if inside else ""
    return Check(
        name="pid namespace",
        good=False,
        found=f"one of its own ({namespace or 'unreadable'}): the agent runs in a container{kind}",
        lost="all processes and containers outside of it",
        remedy="run on the host, or in a container with --pid=host",
    )


def _processes(host: HostFS, snapshot: Snapshot | None) -> Check:
    """Read the exe links of processes: the kernel guards most other evidence in the same way."""
    # Not pid 1: some virtual machines deny it even to root, and it is not needed.
    running = sorted(int(name) for name in host.proc.listdir(".", 1 << 16) if name.isdigit())
    pids = set(running[1 : _SAMPLE + 1])
    if snapshot is not None:
        containers = snapshot.containers.values()
        pids |= {c.init.pid for c in containers if c.init is not None}
    read = denied = 0
    for pid in pids:
        try:
            # Only the link is read: following it could block on a mount of an untrusted container.
            host.proc.readlink(f"{pid}/exe")
            read += 1
        except Denied:
            denied += 1
        except HostReadError:
            continue  # it has ended, or is a kernel thread
    found = f"{read} of {read + denied} that were tried can be read"
    if not denied:
        return Check(name="processes", good=True, found=found)
    return Check(
        name="processes",
        good=False,
        found=found,
        lost="the axes init, services and users of their containers",
        remedy="run as root, or give CAP_SYS_PTRACE; in a container, also disable its AppArmor "
        "profile",
    )


def _cgroups(snapshot: Snapshot) -> Check:
    layout = snapshot.host.cgroups
    if layout.mode is not CgroupMode.NONE:
        return Check(name="cgroups", good=True, found=f"cgroup {layout.mode}")
    return Check(
        name="cgroups",
        good=False,
        found="no cgroup hierarchy is mounted",
        lost="CPU, memory, I/O and limits of every container",
        remedy="mount /sys/fs/cgroup, or set --path.sysfs",
    )


def _cgroup_namespace(host: HostFS) -> Iterator[Check]:
    """In a cgroup namespace of its own, the kernel shows other paths from there: ``/../x``."""
    try:
        namespace = host.proc.readlink("self/ns/cgroup")
    except HostReadError:
        return  # older than Linux 4.6, or unreadable
    good = namespace == f"cgroup:[{INITIAL_CGROUP_NAMESPACE}]"
    yield Check(
        name="cgroup namespace",
        good=good,
        found="the host's" if good else f"one of its own ({namespace})",
        lost="CPU, memory, I/O and limits of other containers, and ids that come from cgroup names",
        remedy="run on the host, or in a container with --cgroupns=host",
    )


def _directories(host: HostFS) -> Iterator[Check]:
    for path, engines in _STATE_DIRECTORIES.items():
        try:
            host.root.listdir(path, limit=1)
        except Gone:
            continue
        except HostReadError as error:
            yield Check(
                name=f"/{path}",
                good=False,
                found=error.why,
                lost=f"names, images and stopped containers of {engines}",
                remedy="run as root, or give CAP_DAC_READ_SEARCH",
            )
        else:
            yield Check(name=f"/{path}", good=True, found="can be listed")


def _descriptors(limits: Callable[[int], tuple[int, int]] = resource.getrlimit) -> Check:
    _, hard = limits(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return Check(name="descriptors", good=True, found="unlimited")
    enough = hard // 2 // _DESCRIPTORS_EACH
    # Always good: beyond that, files are opened and closed in each scrape, which costs time.
    found = f"{hard}: cgroup files of {enough} containers can stay open"
    return Check(name="descriptors", good=True, found=found)


def _collector(health: CollectorHealth) -> Check:
    refused = f", {health.denied} reads denied" if health.denied else ""
    refused += f", {health.malformed} malformed" if health.malformed else ""
    if health.success:
        number = f"{health.containers} container{'' if health.containers == 1 else 's'}"
        return Check(
            name=f"collector {health.name}",
            good=True,
            found=f"{number} in {health.duration_seconds:.2f} s{refused}",
        )
    return Check(
        name=f"collector {health.name}",
        good=False,
        found=f"{printable(health.error or 'failed')}{refused}",
        lost=_LOST_IN_PART.get(health.name, _LOST) if health.containers else _LOST,
        remedy=_REMEDIES.get(health.name, "make its files readable")
        + f"; or switch it off with --no-collector.{health.name}",
    )
