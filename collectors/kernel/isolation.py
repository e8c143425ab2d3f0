"""What separates a container from its host: namespaces, user mapping, capabilities, sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.catalogue import ENGINES
from collectors.facts import Isolation
from collectors.hostfs import or_none

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.facts import HostFacts, Mount, Process
    from collectors.hostfs import HostFS

_KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")

# Bits of <linux/capability.h> that no engine gives unless it is to give all of them.
_CAP_DAC_READ_SEARCH = 2
_CAP_NET_ADMIN = 12
_CAP_SYS_MODULE = 16
_CAP_SYS_RAWIO = 17
_CAP_SYS_PTRACE = 19
_CAP_SYS_ADMIN = 21
_CAP_SYS_BOOT = 22
_ALL = sum(
    1 << bit
    for bit in (
        _CAP_DAC_READ_SEARCH,
        _CAP_NET_ADMIN,
        _CAP_SYS_MODULE,
        _CAP_SYS_RAWIO,
        _CAP_SYS_PTRACE,
        _CAP_SYS_ADMIN,
        _CAP_SYS_BOOT,
    )
)
"""A process with all of these has what ``--privileged`` gives, whatever the host itself lacks."""

_ENGINE_SOCKETS = tuple(path for engine in ENGINES for path in engine.sockets)


def read_isolation(
    host: HostFS, facts: HostFacts, init: Process, mounts: Sequence[Mount]
) -> Isolation:
    """Read what separates a container's first process from the host."""
    mapped = _user_mapped(host, facts, init)
    return Isolation(
        shared_namespaces=frozenset(
            kind
            for kind in _KINDS
            if (mine := getattr(init.namespaces, kind)) is not None
            and mine == getattr(facts.namespaces, kind)
        ),
        user_mapped=mapped,
        capabilities=init.capabilities,
        seccomp=init.seccomp,
        no_new_privs=init.no_new_privs,
        privileged=_privileged(init, facts),
        engine_sockets=tuple(sorted({m.target for m in mounts if _is_engine_socket(m)})),
    )


def _user_mapped(host: HostFS, facts: HostFacts, init: Process) -> bool | None:
    mine = init.namespaces.user
    if mine is not None and mine == facts.namespaces.user:
        return False
    uid_map = or_none(host.proc.read_head, f"{init.pid}/uid_map", 65536)
    root = root_outside(uid_map) if uid_map is not None else None
    return None if root is None else root != 0


def root_outside(data: bytes) -> int | None:
    """Parse /proc/<pid>/uid_map for the host's uid of the inner root, user_namespaces(7).

    None where no uid is mapped to root, so that there is no root inside.
    """
    for line in data.decode("ascii", "replace").splitlines():
        fields = line.split()
        if len(fields) == 3 and all(f.isdigit() for f in fields) and fields[0] == "0":
            return int(fields[1]) if int(fields[2]) else None
    return None


def _privileged(init: Process, facts: HostFacts) -> bool | None:
    """Return whether it has every capability over the host, and no system call filter.

    What it has is effective and permitted; the bounding set is only what it could get. The same
    bits in a user namespace of its own are no power over what belongs to the host's,
    user_namespaces(7).
    """
    mine, theirs = init.namespaces.user, facts.namespaces.user
    if None in (init.capabilities, init.permitted, init.seccomp, mine, theirs):
        return None
    has = (init.capabilities or 0) & (init.permitted or 0)
    return mine == theirs and init.seccomp == 0 and has & _ALL == _ALL


def _is_engine_socket(mount: Mount) -> bool:
    # What is mounted is named by the host's side (root): inside it may be called anything.
    return mount.root.endswith(_ENGINE_SOCKETS)
