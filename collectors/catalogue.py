"""What is known of each engine and of each collector, one row each.

Data alone, which every other module may import. To add an engine: its folder in
``collectors/engines``, its rows here, and its collector in ``collectors/registry.py``. A test
compares the three, and the README's table with the collectors here.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum

OTHER_RANK = 10
"""Rank of an engine of which nothing else is known."""


class MadeFor(StrEnum):
    """What an engine is made for."""

    APP = "app"
    SYSTEM = "system"
    EITHER = "either"
    """The container's own configuration says which: whether it boots."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CollectorInfo:
    """One collector, which ``--[no-]collector.NAME`` switches."""

    name: str
    about: str
    """What it collects, for --help."""
    engines: str
    """Engines that it knows, for the README."""
    reads: str
    """Where it reads, for the README."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """One engine. What is written as a pattern is a regular expression for the whole name."""

    name: str
    """As in the label ``engine``."""
    collector: str
    """The collector that knows its containers."""
    made_for: MadeFor
    _: KW_ONLY
    title: str = ""
    """Its name as its makers write it, if that is shown anywhere."""
    rank: int = OTHER_RANK
    """Where several collectors know a container, the engine with the lowest rank names it: Docker
    knows more than the containerd below it, and that more than the runc below that."""
    wraps: bool = False
    """It only wraps a program, often over the host's own files: what it made is a container only
    where its mounts show a root filesystem of its own."""
    low_level: bool = False
    """It is an OCI runtime: below another engine it is that engine's tool."""
    health_checks: bool = False
    """Its containers may have health checks."""
    may_run_unseen: bool = False
    """Its containers may run though none of their processes is recognised."""

    cgroups: tuple[str, ...] = ()
    """Patterns of the cgroups that it makes for containers. The first row with a pattern names the
    engine of a container that no collector knows."""
    cgroup_folders: tuple[str, ...] = ()
    """Cgroups directly below which every other is a container's."""
    cgroup_parents: tuple[str, ...] = ()
    """Cgroups directly below which a container, known to be one, is this engine's."""
    helper_cgroups: tuple[str, ...] = ()
    """Patterns of the cgroups of its own helpers, beside the container's."""
    inner_cgroups: tuple[str, ...] = ()
    """Names of cgroups that it makes inside a container's own, for the first process."""
    inits: tuple[str, ...] = ()
    """Binaries of its own that it runs as the first process, above what it was told to run."""
    detect_virt: tuple[str, str] | None = None
    """What systemd-detect-virt(1) calls it, and a pattern for the beginning of the cgroup of pid 1
    (without the leading slash) inside one of its containers."""

    keepers: tuple[str, ...] = ()
    """Patterns of the binaries that stay the parent of a container while it runs."""
    makers: tuple[str, ...] = ()
    """Binaries that start a container and by which alone the engine is known."""
    scripts: tuple[str, ...] = ()
    """The same, of what an interpreter runs."""
    builders: tuple[str, ...] = ()
    """Binaries that run the steps of a build, each as the child of a runtime."""
    runtimes: tuple[str, ...] = ()
    """Binaries of OCI runtimes that may be the parent of a step of a build."""

    sockets: tuple[str, ...] = ()
    """How the paths of its API sockets end: whoever can write to one controls the engine."""
    folders: tuple[str, ...] = ()
    """Where it keeps its state on the host, relative to the root, for ``tallyman check``."""


# fmt: off
COLLECTORS = (
    CollectorInfo("docker", "Docker daemons, through their API",
        "Docker: every daemon that runs, also in containers",
        "the Engine API, and on disk what dead daemons left"),
    CollectorInfo("podman", "podman, of root and of every user", "podman: root's and every user's",
        "storage on disk, monitors; never starts a podman"),
    CollectorInfo("containerd", "containerd and Kubernetes", "containerd, Kubernetes through it",
        "task bundles, shims, its metadata database"),
    CollectorInfo("cri-o", "CRI-O and Kubernetes", "CRI-O, Kubernetes through it",
        "its store and state files"),
    CollectorInfo("runc", "bundles of runc, crun and youki without an engine above them",
        "runc, crun, youki without an engine above them", "state files, bundles"),
    CollectorInfo("lxc", "LXC", "LXC, also lxc-execute and unprivileged",
        "lxcpaths, monitors, configuration"),
    CollectorInfo("proxmox", "Proxmox", "Proxmox VE", "/etc/pve"),
    CollectorInfo("incus", "Incus and LXD", "Incus and LXD", "API, instances on disk, processes"),
    CollectorInfo("nspawn", "systemd-nspawn and machined", "systemd-nspawn, machined",
        "/run/systemd, units, processes"),
    CollectorInfo("libvirt-lxc", "libvirt's LXC", "libvirt's LXC", "domains on disk"),
    CollectorInfo("openvz", "OpenVZ and Virtuozzo, through vzlist; and their metrics",
        "OpenVZ and Virtuozzo", "`vzlist`, /proc/vz, /proc/bc, configuration"),
    CollectorInfo("sandboxes", "apptainer, bubblewrap, flatpak and their like",
        "bubblewrap, flatpak, snap, firejail, apptainer, charliecloud, unshare",
        "processes and their mounts"),
)
"""The collectors, in the order in which they are shown."""

_APP, _SYSTEM, _EITHER, _UNKNOWN = MadeFor.APP, MadeFor.SYSTEM, MadeFor.EITHER, MadeFor.UNKNOWN
_ID = r"[0-9a-f]{64}"
_INITS_OF_LIBLXC = ("init.lxc", "init.lxc.static", "lxc-init")

ENGINES = (
    EngineInfo("docker", "docker", _APP, title="Docker", rank=2, health_checks=True,
        cgroups=(rf"docker-{_ID}\.scope",), cgroup_parents=("docker",),
        inner_cgroups=("init",),  # its script for Docker in Docker on cgroup v2
        detect_virt=("docker", rf"(?:.*/)?docker[/-]{_ID}"), keepers=("containerd-shim.*",),
        builders=("dockerd",), runtimes=("docker-runc",),
        sockets=("/docker.sock", "/dockershim.sock"), folders=("var/lib/docker/containers",
            "var/snap/docker/common/var-lib-docker/containers")),
    EngineInfo("podman", "podman", _APP, title="podman", rank=3, health_checks=True,
        cgroups=(rf"libpod-{_ID}(\.scope)?",), helper_cgroups=(rf"libpod-conmon-{_ID}(\.scope)?",),
        detect_virt=("podman", r"(?:.*/)?libpod[/-]"), keepers=("conmon.*",),
        sockets=("/podman.sock",), folders=("var/lib/containers/storage",)),
    EngineInfo("cri-o", "cri-o", _APP, title="CRI-O", rank=1, cgroups=(rf"crio-{_ID}(\.scope)?",),
        helper_cgroups=("crio-conmon-.*",), keepers=("conmon.*",), sockets=("/crio.sock",),
        folders=("var/lib/containers/storage",)),
    EngineInfo("containerd", "containerd", _APP, title="containerd",
        cgroups=(rf"cri-containerd-{_ID}\.scope", rf"nerdctl-{_ID}\.scope"),
        keepers=("containerd-shim.*",), sockets=("/containerd.sock",),
        folders=("run/containerd", "run/k3s/containerd", "run/k0s/containerd",
            "var/snap/microk8s/common/run/containerd")),
    # Kubernetes's containers are containerd's or CRI-O's: no collector gives this name.
    EngineInfo("kubernetes", "containerd", _APP,
        detect_virt=("container-other", r"(?:.*/)?kubepods[./-]")),
    EngineInfo("buildkit", "runc", _APP, rank=11, cgroup_parents=("buildkit",),
        builders=("buildkitd",), runtimes=("buildkit-runc",), sockets=("/buildkitd.sock",)),
    EngineInfo("buildah", "sandboxes", _UNKNOWN),
    EngineInfo("runc", "runc", _APP, title="runc", rank=14, low_level=True, runtimes=("runc",),
        folders=("run/runc",)),
    EngineInfo("crun", "runc", _APP, rank=12, low_level=True, inner_cgroups=("container",),
        runtimes=("crun",)),
    EngineInfo("youki", "runc", _APP, rank=13, low_level=True, runtimes=("youki",)),
    EngineInfo("lxc", "lxc", _SYSTEM, title="LXC", rank=6, cgroups=(r"lxc\.payload\.[^/]+",),
        cgroup_folders=("lxc", "lxc.payload"),  # before LXC 4.0
        helper_cgroups=(r"lxc\.monitor\.[^/]+",),
        inner_cgroups=(".lxc",),  # lxc-attach on cgroup v2
        inits=("lxc-execute", *_INITS_OF_LIBLXC),
        detect_virt=("lxc", r"(?:.*/)?lxc(?:\.payload)?[./]"), keepers=("lxc-start", "lxc-execute"),
        folders=("var/lib/lxc",)),
    EngineInfo("incus", "incus", _SYSTEM, title="Incus", rank=4, cgroups=(r"lxc\.payload\.[^/]+",),
        inits=("incusd", *_INITS_OF_LIBLXC), keepers=("incusd",),
        sockets=("/incus/unix.socket",), folders=("var/lib/incus",)),
    EngineInfo("lxd", "incus", _SYSTEM, rank=5, cgroups=(r"lxc\.payload\.[^/]+",), keepers=("lxd",),
        inits=("lxd", *_INITS_OF_LIBLXC), sockets=("/lxd/unix.socket",)),
    EngineInfo("libvirt-lxc", "libvirt-lxc", _SYSTEM, rank=7, keepers=("libvirt_lxc",)),
    EngineInfo("nspawn", "nspawn", _EITHER, title="systemd-nspawn", rank=8,
        cgroups=(r"machine-[^/]+\.scope", r"systemd-nspawn@[^/]+\.service"),
        inner_cgroups=("payload", "supervisor"),
        detect_virt=("systemd-nspawn", r"machine\.slice/machine-[^/]*\.scope"),
        keepers=("systemd-nspawn",), folders=("var/lib/machines", "var/lib/nixos-containers")),
    # Proxmox's containers are LXC's: its collector adds to what LXC's knows.
    EngineInfo("proxmox", "proxmox", _SYSTEM, title="Proxmox", inner_cgroups=("ns",),
        folders=("etc/pve",)),
    EngineInfo("openvz", "openvz", _SYSTEM, title="OpenVZ", rank=0, may_run_unseen=True,
        folders=("etc/vz/conf",)),
    EngineInfo("bubblewrap", "sandboxes", _APP, rank=9, wraps=True,
        makers=("bwrap", "flatpak-bwrap", "srt-bwrap", "pv-bwrap")),  # srt-: Steam's runtime
    EngineInfo("flatpak", "sandboxes", _APP, rank=9, wraps=True),
    EngineInfo("snap", "sandboxes", _APP, rank=9, wraps=True, makers=("snap-confine",)),
    EngineInfo("firejail", "sandboxes", _APP, rank=9, wraps=True, makers=("firejail",)),
    EngineInfo("apptainer", "sandboxes", _APP, rank=9, wraps=True),
    EngineInfo("singularity", "sandboxes", _APP, rank=9, wraps=True),
    EngineInfo("charliecloud", "sandboxes", _APP, rank=9, wraps=True, makers=("ch-run",)),
    EngineInfo("unshare", "sandboxes", _UNKNOWN, rank=9, wraps=True, makers=("unshare",)),
    EngineInfo("lxc-unshare", "sandboxes", _UNKNOWN, rank=9, wraps=True, makers=("lxc-unshare",)),
    EngineInfo("nsjail", "sandboxes", _UNKNOWN, rank=9, wraps=True, makers=("nsjail",)),
    EngineInfo("minijail", "sandboxes", _UNKNOWN, rank=9, wraps=True, makers=("minijail0",)),
    EngineInfo("schroot", "sandboxes", _UNKNOWN, rank=9, wraps=True, makers=("schroot",)),
    EngineInfo("bazel", "sandboxes", _UNKNOWN, rank=9, wraps=True, makers=("linux-sandbox",)),
    EngineInfo("nix", "sandboxes", _UNKNOWN, rank=9, wraps=True, makers=("nix", "nix-daemon")),
    EngineInfo("nomad", "sandboxes", _UNKNOWN, rank=9, wraps=True, makers=("nomad",)),
    EngineInfo("vagga", "sandboxes", _UNKNOWN, rank=9, wraps=True, makers=("vagga",)),
    EngineInfo("mmdebstrap", "sandboxes", _UNKNOWN, rank=9, wraps=True, scripts=("mmdebstrap",)),
    EngineInfo("sbuild", "sandboxes", _UNKNOWN, rank=9, wraps=True, scripts=("sbuild",)),
    EngineInfo("pbuilder", "sandboxes", _UNKNOWN, rank=9, wraps=True, scripts=("pbuilder",)),
    EngineInfo("mock", "sandboxes", _UNKNOWN, rank=9, wraps=True, scripts=("mock",)),
)
# fmt: on
"""The engines. What an engine runs in may be another's container, so in ``detect_virt`` the first
row whose pattern fits counts: a Docker in a pod, a pod in an LXC."""

BY_NAME = {engine.name: engine for engine in ENGINES}

WRAPPERS = frozenset(engine.name for engine in ENGINES if engine.wraps)
"""Engines that only wrap a program."""
