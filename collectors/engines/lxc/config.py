"""Configuration files of LXC: lxc.container.conf(5), old key names of before LXC 2.1 included."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.formats.command_line import boots_system, parse_command_line
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.hostfs import Dir

CONFIG_LIMIT = 256 << 10
"""Largest configuration that is read, in bytes; usual ones have some hundred lines."""

_OLD_NAMES = {
    "lxc.utsname": "lxc.uts.name",
    "lxc.rootfs": "lxc.rootfs.path",
    "lxc.init_cmd": "lxc.init.cmd",
    "lxc.network.type": "lxc.net.0.type",
    "lxc.network.link": "lxc.net.0.link",
    "lxc.id_map": "lxc.idmap",
}
_TEMPLATE = re.compile(r"# Template used to create this container:\s*(\S+)")
_PARAMETERS = re.compile(r"# Parameters passed to the template:(.*)")
_NAME_OF_TEMPLATE = re.compile(r"(?:.*/)?(?:lxc-)?([^/]+)")
_TEMPLATE_OPTIONS = frozenset({"dist", "release", "arch", "url", "variant", "server"})
_OF_PROXMOX = re.compile(r"lxc\.monitor/\d+")
"""The monitor's cgroup in a file that Proxmox VE wrote: pve-container, src/PVE/LXC.pm."""

_NETWORKS = {"none": "host", "empty": "none"}
"""lxc.net.N.type in the words of other engines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LxcConfig:
    """What is set in a container's configuration; empty where it is not set."""

    hostname: str = ""
    rootfs: str = ""
    """Directory on the host; empty for a block device or a volume that has to be mounted."""
    has_rootfs: bool = False
    """Without one it runs on the host's own root filesystem."""
    init_command: tuple[str, ...] = ()
    execute_command: tuple[str, ...] = ()
    cgroup_dir: str = ""
    container_cgroup: str = ""
    relative_cgroup: bool = False
    network: str = ""
    ephemeral: bool = False
    mounts: tuple[str, ...] = ()
    template: str = ""
    of_proxmox: bool = False
    """Proxmox VE wrote the file: the container's name there is its host name."""


def read_config(directory: Dir, path: str) -> LxcConfig | None:
    """Read a configuration file; None when it cannot be read or has no key of LXC's."""
    try:
        return parse_config(directory.read_text(path, CONFIG_LIMIT))
    except HostReadError:
        return None


def parse_config(text: str) -> LxcConfig | None:
    """Parse a configuration; None when it has no key of LXC's.

    ``lxc.include`` is not followed: included files hold what a distribution's containers have in
    common, and an untrusted path would be opened.
    """
    values: dict[str, str] = {}
    mounts: list[str] = []
    is_config = False
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        key = _OLD_NAMES.get(key.strip(), key.strip())
        if not equals or not key.startswith("lxc."):
            continue
        is_config = True
        value = _unquote(value.strip())
        if key != "lxc.mount.entry":
            values[key] = value
        elif value:
            mounts.append(value)
        else:  # an empty value clears those before it, lxc.container.conf(5)
            mounts.clear()
    if not is_config:
        return None
    rootfs = values.get("lxc.rootfs.path", "")
    return LxcConfig(
        hostname=values.get("lxc.uts.name", ""),
        rootfs=_directory(rootfs),
        has_rootfs=bool(rootfs),
        init_command=_words(values.get("lxc.init.cmd", "")),
        execute_command=_words(values.get("lxc.execute.cmd", "")),
        cgroup_dir=values.get("lxc.cgroup.dir", "").strip("/"),
        container_cgroup=values.get("lxc.cgroup.dir.container", "").strip("/"),
        relative_cgroup=values.get("lxc.cgroup.relative") == "1",
        network=_network(values),
        ephemeral=values.get("lxc.ephemeral") == "1",
        mounts=tuple(filter(None, map(_bind_source, mounts))),
        template=template_of(text),
        of_proxmox=_OF_PROXMOX.fullmatch(values.get("lxc.cgroup.dir.monitor", "")) is not None,
    )


def expected_cgroup(name: str, config: LxcConfig) -> str:
    """Return the cgroup that a container of root's will have when it runs (LXC 4 and newer)."""
    if config.container_cgroup:
        return f"/{config.container_cgroup}"
    parent = f"/{config.cgroup_dir}" if config.cgroup_dir else ""
    return f"{parent}/lxc.payload.{name}"


def boots_by_config(config: LxcConfig | None) -> bool | None:
    """Return whether lxc-start would start a whole system with this configuration."""
    if config is None:
        return None
    if config.init_command:
        return boots_system(config.init_command)
    # /sbin/init is the default; without a root filesystem that is the host's own.
    return True if config.has_rootfs else None


def template_of(text: str) -> str:
    """Return the template by the comments that lxc-create writes: ``debian/bookworm/amd64``.

    The parameters of the download template name the image; without them it asked for it, and the
    answer is not kept.
    """
    template = _TEMPLATE.search(text)
    if template is None:
        return ""
    name = _NAME_OF_TEMPLATE.fullmatch(template[1])
    kind = name[1] if name else template[1]
    parameters = _PARAMETERS.search(text)
    words = _words(parameters[1]) if parameters else ()
    options = parse_command_line(["", *words], "d:r:a:u:v:", _TEMPLATE_OPTIONS, stop=False)
    url = options.get("-u", "--url")
    if url:
        return url
    first = options.get("-d", "--dist") or kind
    others = (options.get("-r", "--release"), options.get("-a", "--arch"))
    return "/".join([first, *filter(None, others)])


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return tuple(text.split())


def _directory(rootfs: str) -> str:
    kind, colon, rest = rootfs.partition(":")
    if not colon or "/" in kind:
        return rootfs if rootfs.startswith("/") and not rootfs.startswith("/dev/") else ""
    return rest if kind in ("dir", "btrfs") and rest.startswith("/") else ""


def _network(values: dict[str, str]) -> str:
    kinds = sorted(k for k in values if re.fullmatch(r"lxc\.net\.\d+\.type", k))
    if not kinds:
        return ""
    kind = values[kinds[0]]
    link = values.get(kinds[0].removesuffix("type") + "link", "")
    return _NETWORKS.get(kind, link or kind)


def _bind_source(entry: str) -> str:
    fields: Sequence[str] = entry.split()
    is_bind = len(fields) > 3 and {"bind", "rbind"} & set(fields[3].split(","))
    return fields[0].replace("\\040", " ") if is_bind and fields[0].startswith("/") else ""
