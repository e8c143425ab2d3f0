"""The programs that make sandboxes and small containers, and how each is recognized.

Most stay on as the parent of what they made, and the kernel shows their binary. Some replace
themselves by the program that they start: charliecloud, snap and one of apptainer's starters are
recognized by mounts that only they make.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.catalogue import ENGINES
from collectors.engines.shared.cgroup_paths import cgroup_paths
from collectors.engines.shared.processes import binary_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.facts import Mount, Process

_MAKERS = {binary: engine.name for engine in ENGINES for binary in engine.makers}
"""Engine by the binary of the process that keeps or prepares a container."""
_SCRIPTS = {script: engine.name for engine in ENGINES for script in engine.scripts}
_BUILDERS = {binary: engine.name for engine in ENGINES for binary in engine.builders}
_RUNTIMES = frozenset(binary for engine in ENGINES for binary in engine.runtimes)
_KEEPERS = re.compile("|".join(pattern for engine in ENGINES for pattern in engine.keepers))

_BUILDAH = frozenset({"podman", "buildah"})
_BUILDAH_TITLE = "buildah-"
"""podman build and buildah call themselves buildah-oci-runtime or buildah-chroot-exec for a step;
their other children with a root of their own (slirp4netns) are no containers."""

_STARTERS = frozenset({"starter", "starter-suid"})
_INTERPRETER = re.compile(r"(perl|python|bash|dash|sh)[\d.]*")
_CHARLIECLOUD = re.compile(r"/ch-run_(passwd|group)\.\w{6}//deleted$")
_SNAP_UNIT = re.compile(r"snap\.([a-z0-9_-]+)\.([A-Za-z0-9-]+?)(\.hook)?(-[0-9a-f-]+)?\.\w+")
_INSTANCE = re.compile(r"(?:Apptainer|Singularity) instance: \S+ \[([^]]+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What is known of a sandbox besides its processes."""

    engine: str
    name: str = ""
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def engine_of(process: Process) -> str:
    """Return the engine whose binary a process runs; "" for none known here."""
    binary = binary_name(process)
    if binary in _STARTERS:
        path = process.exe or ""
        return next((e for e in ("apptainer", "singularity") if f"/{e}/" in path), "")
    if binary == "busybox":
        applet = posixpath.basename(process.argv[0]) if process.argv else ""
        return "unshare" if applet == "unshare" or process.argv[1:2] == ("unshare",) else ""
    if _INTERPRETER.fullmatch(binary):
        script = posixpath.basename(process.argv[1]) if len(process.argv) > 1 else ""
        return _SCRIPTS.get(script, "")
    if binary in _BUILDAH:
        return binary if process.argv and process.argv[0].startswith(_BUILDAH_TITLE) else ""
    return _MAKERS.get(binary, "")


def engine_of_build(runtime: Process, builder: Process | None) -> str:
    """Return the engine whose build step a runtime in the foreground runs, by its own parent.

    BuildKit, on its own or in dockerd, keeps ``runc run`` as the parent of each step.
    """
    if builder is None or binary_name(runtime) not in _RUNTIMES:
        return ""
    return _BUILDERS.get(binary_name(builder), "")


def is_kept(process: Process) -> bool:
    """Return whether a process supervises the containers of an engine with its own collector."""
    return _KEEPERS.fullmatch(binary_name(process)) is not None


TELLING_MOUNTS = re.compile(rb"/ch-run_|/snapd/hostfs |/mnt/session/|/\.flatpak-info ")
"""Whether mountinfo is worth parsing: the mounts of most engines are not characteristic."""


def engine_by_mounts(mounts: Sequence[Mount]) -> str:
    """Return the engine that replaced itself but whose mounts are there; "" for none."""
    for mount in mounts:
        if mount.target == "/etc/passwd" and _CHARLIECLOUD.search(mount.root):
            return "charliecloud"
        if mount.target == "/var/lib/snapd/hostfs":
            return "snap"
        if mount.target == "/" and "/apptainer/mnt/session/" in mount.options:
            return "apptainer"
        if mount.target == "/" and "/singularity/mnt/session/" in mount.options:
            return "singularity"
    return ""


def is_flatpak(mounts: Sequence[Mount]) -> bool:
    """Return whether flatpak ran bubblewrap: it mounts its own description into the sandbox."""
    return any(mount.target == "/.flatpak-info" for mount in mounts)


def flatpak_marks(info: str) -> Marks:
    """Read an application's ``/.flatpak-info``, flatpak-metadata(5)."""
    section, values = "", {}
    for line in info.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            continue
        key, equals, value = line.partition("=")
        if equals:
            values[section, key] = value
    name = values.get(("Application", "name"), "") or values.get(("Runtime", "name"), "")
    arch, branch = values.get(("Instance", "arch"), ""), values.get(("Instance", "branch"), "")
    instance = values.get(("Instance", "instance-id"), "")
    return Marks(
        engine="flatpak",
        name=name,
        image="/".join(filter(None, ("app", name, arch, branch))) if name else "",
        labels={"flatpak.instance-id": instance} if instance else {},
    )


def snap_marks(process: Process) -> Marks:
    """Return a snap's application, by the cgroup that snapd has systemd make for it."""
    for path in cgroup_paths(process):
        for part in path.split("/"):
            unit = _SNAP_UNIT.fullmatch(part)
            if unit is not None:
                snap, app = unit[1], unit[2]
                return Marks(
                    engine="snap", name=snap if snap == app else f"{snap}.{app}", image=snap
                )
    return Marks(engine="snap")


def apptainer_marks(engine: str, chain: Sequence[Process], environment: bytes) -> Marks:
    """Return an apptainer instance by its starter's title, and the image by its environment."""
    titles = (_INSTANCE.fullmatch(p.argv[0].rstrip()) for p in chain if p.argv)
    image = re.search(rb"(?:^|\0)(?:APPTAINER|SINGULARITY)_CONTAINER=([^\0]+)", environment)
    return Marks(
        engine=engine,
        name=next((t[1] for t in titles if t), ""),
        image=image[1].decode("utf-8", "replace") if image else "",
    )


def charliecloud_marks(mounts: Sequence[Mount]) -> Marks:
    """Return the image directory, which is mounted at the root."""
    root = next((m.root for m in mounts if m.target == "/"), "/")
    return Marks(engine="charliecloud", image=posixpath.basename(root))


def build_marks(engine: str, process: Process, runtime: Process) -> Marks:
    """Return a build step by the id its runtime was given: the last argument, or the cgroup."""
    if binary_name(runtime) in _RUNTIMES and len(runtime.argv) > 1:
        return Marks(engine=engine, name=runtime.argv[-1])
    name = posixpath.basename(next(cgroup_paths(process), "/"))
    return Marks(engine=engine, name=name if name.startswith(_BUILDAH_TITLE) else "")
