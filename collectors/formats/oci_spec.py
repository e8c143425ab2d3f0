"""What an OCI bundle says of its container: config.json of the OCI runtime specification.

https://github.com/opencontainers/runtime-spec/blob/main/config.md and config-linux.md
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from collectors.formats.documents import JsonObject, parse_object

_FILES_OF_ENGINE = frozenset({"resolv.conf", "hosts", "hostname", "shm", ".containerenv"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The parts of an OCI runtime configuration that tell something of the container."""

    command: tuple[str, ...] = ()
    hostname: str = ""
    tty: bool | None = None
    rootfs: str = ""
    """As written: relative to the bundle where it does not start with a slash."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    cgroups_path: str = ""
    cpu_shares: int | None = None
    network_mode: str = ""
    """host, or ``ns:<path>`` where it joins a namespace; empty: it gets one of its own."""
    mounts: tuple[str, ...] = ()
    """Sources on the host of its bind mounts, without the engine's own little files."""


def parse_spec(data: bytes) -> Spec | None:
    """Parse a bundle's config.json; None when it is none."""
    document = parse_object(data)
    return spec_of(document) if document is not None else None


def spec_of(document: JsonObject) -> Spec:
    """Read the runtime configuration out of a JSON object that holds it."""
    process = document.object("process")
    linux = document.object("linux")
    return Spec(
        command=process.texts("args"),
        hostname=document.text("hostname"),
        tty=process.flag("terminal"),
        rootfs=document.object("root").text("path"),
        annotations=document.text_map("annotations"),
        cgroups_path=linux.text("cgroupsPath"),
        cpu_shares=linux.object("resources").object("cpu").integer("shares") or None,
        network_mode=_network_mode(linux),
        mounts=tuple(_bind_sources(document)),
    )


def _network_mode(linux: JsonObject) -> str:
    if "namespaces" not in linux.raw:
        return ""
    for namespace in linux.objects("namespaces"):
        if namespace.text("type") == "network":
            path = namespace.text("path")
            return f"ns:{path}" if path else ""
    return "host"


def _bind_sources(document: JsonObject) -> list[str]:
    sources = []
    for mount in document.objects("mounts"):
        options = mount.texts("options")
        is_bind = mount.text("type") == "bind" or "bind" in options or "rbind" in options
        source = mount.text("source")
        if is_bind and source and posixpath.basename(source) not in _FILES_OF_ENGINE:
            sources.append(source)
    return sources


def expand_slice(name: str) -> str:
    """Return the path of a systemd slice: ``a-b.slice`` lies in ``a.slice``, systemd.slice(5)."""
    if not name.endswith(".slice") or "/" in name or name == "-.slice":
        return "" if name == "-.slice" else name
    parts = name.removesuffix(".slice").split("-")
    return "/".join("-".join(parts[: n + 1]) + ".slice" for n in range(len(parts)))


def cgroup_of_spec(path: str) -> str | None:
    """Return the cgroup that ``linux.cgroupsPath`` stands for; None where that cannot be told.

    ``slice:prefix:name`` is systemd's ``prefix-name.scope`` (or a slice, if the name is one), in
    ``system.slice`` where it names none; else it is a path. Relative ones depend on the runtime,
    which is why they are not guessed.
    """
    parent, colon, rest = path.partition(":")
    if colon and "/" not in parent:
        prefix, _, name = rest.partition(":")
        if not name:
            return None
        unit = name if name.endswith(".slice") else f"{prefix}-{name}.scope" if prefix else name
        return "/" + "/".join(
            part for part in (expand_slice(parent or "system.slice"), unit) if part
        )
    if not path.startswith("/") or posixpath.normpath(path) == "/":
        return None
    return "/" + posixpath.normpath(path).strip("/")
