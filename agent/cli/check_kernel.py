"""What this kernel lacks, or a seccomp filter keeps from the agent, and what is lost by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli.check_outcome import Check
from collectors.confined import has_openat2, tells_mounts_apart
from collectors.hostfs import HostReadError, or_none
from collectors.kernel.cgroups import read_layout
from collectors.kernel.processes import parse_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.hostfs import HostFS

_OF_CONTROLLERS = {
    "memory": "use of memory, OOM kills and memory limits of containers",
    "cpu": "CPU shares and quotas of containers",
    "pids": "how many processes a container may have; containers that could take all of the "
    "host's are told by the limits of memory and CPU alone",
}


def kernel_checks(host: HostFS) -> list[Check]:
    """Check what newer kernels added; one line says so where nothing is missing."""
    checks = [
        *_mounts(),
        *_numbers(host),
        *_controllers(host),
        *_pressure(host),
        *_watches(host),
    ]
    return [_confinement(host), *(checks or [_complete(host)])]


def _complete(host: HostFS) -> Check:
    release = or_none(host.proc.read_text, "sys/kernel/osrelease", 4096) or "here"
    return Check(name="kernel", good=True, found=f"Linux {release.strip()} has all that is used")


def _lacks(name: str, found: str, lost: str, remedy: str) -> Check:
    return Check(name=name, good=False, optional=True, found=found, lost=lost, remedy=remedy)


def _confinement(host: HostFS) -> Check:
    """Open the agent's own root as the roots of containers are opened."""
    try:
        with host.proc.open_dir("self/root/", confined=True) as root:
            root.stat("/")
    except HostReadError as error:
        return Check(
            name="confined reads",
            good=False,
            found=f"nothing can be opened confined: {error.why}",
            lost="everything inside containers (os-release, accounts, packages), and most names "
            "and images from engines' files, which are only read confined",
            remedy="mount /proc where the agent runs",
        )
    how = "by openat2" if has_openat2() else "step by step, as openat2 is missing (Linux 5.6)"
    return Check(name="confined reads", good=True, found=how)


def _mounts() -> Iterator[Check]:
    if not tells_mounts_apart():
        yield _lacks(
            "mounts",
            "a mount cannot be told from a folder (Linux 3.15)",
            "containers of runc, crun and youki whose state directory nothing names: to search "
            "for it could block on somebody's mount",
            "use a newer kernel, or let it keep its state in /run/runc",
        )


def _numbers(host: HostFS) -> Iterator[Check]:
    status = parse_status(or_none(host.proc.read, "self/status", 65536) or b"")
    if status and not {"NSpid", "VPid"} & status.keys():
        yield _lacks(
            "pids in namespaces",
            "the kernel does not write NSpid (Linux 4.1)",
            "which process an engine in a container means by a number: what it has made there is "
            "found, and named only by its cgroup",
            "use a newer kernel",
        )


def _controllers(host: HostFS) -> Iterator[Check]:
    for controller in sorted(read_layout(host).absent):
        yield _lacks(
            f"controller {controller}",
            "this kernel has none, or it is disabled (/proc/cgroups)",
            _OF_CONTROLLERS[controller],
            f"use a newer kernel, without cgroup_disable={controller}",
        )


def _pressure(host: HostFS) -> Iterator[Check]:
    if not host.proc.exists("pressure/cpu"):
        yield _lacks(
            "pressure",
            "no /proc/pressure (Linux 4.20, booted with psi=1)",
            "for how long containers and host wait for CPU, memory and I/O",
            "use a newer kernel, or boot with psi=1",
        )


def _watches(host: HostFS) -> Iterator[Check]:
    """Watch one folder: the number of instances and of watches is limited for each user."""
    from inotify_simple import INotify, flags  # noqa: PLC0415 - only here

    try:
        with INotify() as inotify:
            inotify.add_watch(host.host_path("/"), flags.CREATE | flags.ONLYDIR)
    except OSError as error:
        yield _lacks(
            "inotify",
            f"{error.strerror}",
            "changes are seen when the agent looks by itself, every few seconds, and no sooner",
            "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches",
        )
