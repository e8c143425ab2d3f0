"""How a machine is to run: the command line of systemd-nspawn, and systemd.nspawn(5) files."""

from __future__ import annotations

import posixpath
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.formats.command_line import CommandLine, parse_command_line
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.hostfs import Dir

IMAGES = "/var/lib/machines"
IMAGE_PATHS = (IMAGES, "/etc/machines", "/run/machines", "/usr/local/lib/machines")
"""Where nspawn and machined look for the image of a machine, systemd-nspawn(1)."""

SETTINGS_PATHS = ("/etc/systemd/nspawn", "/run/systemd/nspawn", IMAGES)
_SETTINGS_LIMIT = 64 << 10

_SHORT = "hD:u:abL:M:jS:Z:qi:xp:nUE:P"
_LONG = frozenset(
    {"directory", "template", "image", "oci-bundle", "root-hash", "root-hash-sig"}
    | {"verity-data", "pivot-root", "chdir", "setenv", "user", "kill-signal", "machine"}
    | {"hostname", "uuid", "slice", "property", "register", "settings", "private-users"}
    | {"private-users-ownership", "network-interface", "network-macvlan", "network-ipvlan"}
    | {"network-veth-extra", "network-bridge", "network-zone", "network-namespace-path", "port"}
    | {"capability", "drop-capability", "ambient-capability", "no-new-privileges"}
    | {"system-call-filter", "selinux-context", "selinux-apifs-context", "rlimit"}
    | {"oom-score-adjust", "cpu-affinity", "personality", "resolv-conf", "timezone"}
    | {"link-journal", "bind", "bind-ro", "inaccessible", "tmpfs", "overlay", "overlay-ro"}
    | {"bind-user", "set-credential", "load-credential", "console", "background", "notify-ready"}
    | {"suppress-sync"}
)
"""Long options that want a value, systemd-nspawn(1) of v252 to v257."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
"""What systemd accepts as the name of a machine, hostname_is_valid()."""

_TRUE = frozenset({"1", "yes", "y", "true", "t", "on"})
_FALSE = frozenset({"0", "no", "n", "false", "f", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a .nspawn file sets; None or empty where it does not."""

    boot: bool | None = None
    hostname: str = ""
    command: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """The command line of one systemd-nspawn."""

    machine: str
    """Name as given, or that of the tree; without the random suffix of an ephemeral one."""
    named: bool
    """The name was given, and so it has no random suffix."""
    directory: str
    """Root directory on the host, absolute; empty where an image file or a search gives it."""
    image: str
    ephemeral: bool
    registers: bool
    """It is registered with machined."""
    settings: str
    """``--settings=`` in lower case; empty where it was not given."""
    boot: bool | None
    hostname: str
    command: tuple[str, ...]
    mounts: tuple[str, ...]

    @property
    def source(self) -> str:
        """Return the image or tree that it was made from, where it does not run in that itself."""
        return self.image or (posixpath.basename(self.directory) if self.ephemeral else "")


def parse_invocation(argv: Sequence[str], cwd: str) -> Invocation:
    """Parse the command line of a systemd-nspawn that was started in the directory ``cwd``."""
    line = parse_command_line(argv, _SHORT, _LONG, stop=True)
    directory = line.get("-D", "--directory") or ""
    image = line.get("-i", "--image") or ""
    machine = line.get("-M", "--machine") or ""
    bundle = line.get("--oci-bundle") or ""
    if not (directory or image or machine or bundle):
        directory = "."
    if directory:
        directory = posixpath.normpath(posixpath.join(cwd or "/", directory))
    origin = line.get("--template")
    return Invocation(
        machine=machine or machine_name(directory or image or bundle),
        named=bool(machine),
        directory=directory,
        image=posixpath.basename(origin or image or bundle),
        ephemeral=line.has("-x", "--ephemeral"),
        registers=(line.get("--register") or "yes").lower() not in _FALSE,
        settings=(line.get("--settings") or "").lower(),
        boot=_boot(line),
        hostname=line.get("--hostname") or "",
        command=() if line.has("-b", "--boot") else tuple(line.rest),
        mounts=_bind_sources([v for k, v in line.options if k in ("--bind", "--bind-ro")]),
    )


def _boot(line: CommandLine) -> bool | None:
    if line.has("-b", "--boot"):
        return True
    return False if line.rest or line.has("-a", "--as-pid2") else None


def machine_name(path: str) -> str:
    """Return the name of a machine that was given none: its tree's, as by hostname_cleanup()."""
    name = posixpath.basename(path.rstrip("/")).removesuffix(".raw")
    name = re.sub(r"[^A-Za-z0-9._-]", "", name)[:64]
    return re.sub(r"\.+", ".", name).strip(".-")


def find_settings(root: Dir, machine: str) -> Settings | None:
    """Read the .nspawn file of a machine: the administrator's before the one beside the image."""
    if not _NAME.fullmatch(machine):
        return None  # a command line can hold any path
    for directory in SETTINGS_PATHS:
        with suppress(HostReadError):
            path = f"{directory}/{machine}.nspawn".lstrip("/")
            return parse_settings(root.read_text(path, _SETTINGS_LIMIT))
    return None


def parse_settings(text: str) -> Settings:
    """Parse a .nspawn file, systemd.nspawn(5)."""
    section = ""
    values: dict[tuple[str, str], str] = {}
    binds: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if not equals or line[0] in "#;":
            continue
        key, value = key.strip(), value.strip()
        if section == "Files" and key in ("Bind", "BindReadOnly"):
            binds.append(value)
        values[section, key] = value
    boot = values.get(("Exec", "Boot"), "").lower()
    process_two = values.get(("Exec", "ProcessTwo"), "").lower() in _TRUE
    return Settings(
        boot=True if boot in _TRUE else False if boot in _FALSE or process_two else None,
        hostname=values.get(("Exec", "Hostname"), ""),
        command=tuple(values.get(("Exec", "Parameters"), "").split()),
        mounts=_bind_sources(binds),
    )


def boots_by_options(invocation: Invocation, settings: Settings | None) -> bool:
    """Return whether a whole system is started; by default systemd-nspawn runs a shell."""
    choices = [invocation.boot, settings.boot if settings else None]
    if invocation.settings in _FALSE:
        choices.pop()
    elif invocation.settings == "override":
        choices.reverse()
    return next((boot for boot in choices if boot is not None), False)


def _bind_sources(binds: Sequence[str]) -> tuple[str, ...]:
    # SOURCE[:DESTINATION[:OPTIONS]]; a "+" in front means a path in the image itself.
    sources = (re.split(r"(?<!\\):", bind)[0].replace("\\:", ":") for bind in binds)
    return tuple(s for s in sources if s.startswith("/"))
