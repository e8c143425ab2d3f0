"""What the inventory knows of engines: who speaks first for a container, and who only wraps."""

from __future__ import annotations

import re

from collectors.engines.sandboxes.makers import WRAPPERS

_MANAGERS = (
    "openvz",
    "cri-o",
    "docker",
    "podman",
    "incus",
    "lxd",
    "lxc",
    "libvirt-lxc",
    "nspawn",
)

SANDBOXES = WRAPPERS
"""Tools that wrap a program, mostly over the host's own root: what they made counts only where the
kernel shows a root filesystem of its own."""

_TOOLS = ("containerd", "buildkit", "crun", "youki", "runc")

LOW_LEVEL = frozenset({"runc", "crun", "youki", "kata", "runsc"})
"""OCI runtimes: beside an engine they are its tool, alone they are the engine."""


def rank(engine: str) -> int:
    """Return the place of an engine in the order of who speaks first, 0 the very first.

    When several collectors saw one container the higher engine names it: Docker tells more than
    the containerd below it, and that more than the runc below that.
    """
    if engine in _MANAGERS:
        return _MANAGERS.index(engine)
    after = len(_MANAGERS) + (engine not in SANDBOXES)
    return after + (_TOOLS.index(engine) if engine in _TOOLS else 0)


_HEX_ID = r"[0-9a-f]{64}"

COMPONENTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), engine)
    for pattern, engine in (
        (rf"docker-{_HEX_ID}\.scope", "docker"),
        (rf"libpod-{_HEX_ID}(\.scope)?", "podman"),
        (rf"crio-{_HEX_ID}(\.scope)?", "cri-o"),
        (rf"cri-containerd-{_HEX_ID}\.scope", "containerd"),
        (rf"nerdctl-{_HEX_ID}\.scope", "containerd"),
        (r"lxc\.payload\.[^/]+", "lxc"),
        (r"machine-[^/]+\.scope", "nspawn"),
        (r"systemd-nspawn@[^/]+\.service", "nspawn"),
        (_HEX_ID, ""),
    )
)
"""Cgroup names that engines give, with the engine; a bare id may be anybody's. Anyone on the host
can make such a cgroup, so a name says where a container's cgroup ends, never that there is one."""

INNER = frozenset({"init.scope", "payload", "supervisor", "ns", "init", "container", ".lxc"})
"""Cgroups that an init or an engine makes inside the container's own for its first process."""

ENGINES_OWN = re.compile(rf"libpod-conmon-{_HEX_ID}(\.scope)?|lxc\.monitor\.[^/]+|crio-conmon-.*")
"""Cgroups of the engines' own helpers, beside the container's."""


def path_engine(path: str) -> str | None:
    """Return which engine makes cgroups of that path: "" for any, None for nobody known."""
    head, _, last = path.rpartition("/")
    if head.rpartition("/")[2] in ("lxc", "lxc.payload"):  # /lxc/<name>, before LXC 4.0
        return "lxc"
    return component_engine(last)


def component_engine(component: str) -> str | None:
    """Return which engine makes cgroups of that name: "" for any, None for nobody known."""
    for pattern, engine in COMPONENTS:
        if pattern.fullmatch(component):
            return engine
    return None
