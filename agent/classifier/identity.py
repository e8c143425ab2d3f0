"""Which program a process is, and how far that can be believed.

The binary that runs (``/proc/<pid>/exe``) is hard to forge, the arguments are cheap. A process is
identified by both. Where they disagree the binary is right; where the binary can be any program
(busybox, an interpreter) its arguments are trusted by half.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.classifier.programs import (
    INTERPRETED,
    INTERPRETERS,
    MULTI_CALL,
    VAGUE,
    ProgramInfo,
    Role,
    is_loader,
    lookup,
    unversioned,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from collectors.facts import Process

HALF = 0.5
"""Trust in a name that only the arguments give."""

_OWN_CODE = ("/app", "/opt", "/srv", "/home", "/usr/local", "/usr/share", "/var", "/root", "/code")
_OF_THE_OWNER = ("/app", "/srv", "/home", "/root", "/code")
_STORES = ("/nix/store/", "/gnu/store/")
_OF_MANY = frozenset({"/opt", "/srv", "/home", "/usr/local", "/usr/share", "/var", "/root"})
_INITS = frozenset({"/sbin", "/usr/sbin", "/lib/sysvinit", "/usr/lib/sysvinit"})
_DAEMONS_OF_MAIL = frozenset({"master", "cleanup", "bounce", "pickup", "imap", "pop3", "anvil"})
"""Programs of postfix and dovecot whose names are common words: a script of that name is none."""
_SYSTEM_BIN = frozenset({"/bin", "/sbin", "/usr/bin", "/usr/sbin"})


@dataclass(frozen=True, slots=True)
class Identity:
    """Which program a process is taken for."""

    name: str
    trust: float
    """1 where the binary and the arguments agree, less where only one of them says so."""
    info: ProgramInfo | None
    directory: str
    """Directory of its program (binary or script), in the container's view."""
    basis: str
    """What identified it, as text: ``exe and argv``."""

    @property
    def title(self) -> str:
        """The name to show: one that says little is preceded by its package's."""
        package = product_directory(self.directory).rpartition("/")[2] if self.name in VAGUE else ""
        return f"{package}/{self.name}" if package else self.name

    @property
    def by_argv(self) -> bool:
        """Whether only its arguments identified it, as its binary can be any program."""
        return self.basis.startswith("argv alone")

    @property
    def role(self) -> Role:
        """Its role; an unknown program is an application."""
        return self.info.role if self.info else Role.APPLICATION

    @property
    def believed_by_half(self) -> bool:
        """Whether a name in argv is trusted by half only, as its role speaks for a system.

        The other roles speak for an application or for nothing: there is no gain in forging them.
        """
        return self.role in (Role.OS, Role.PLUMBING, Role.MANAGER, Role.SUPERVISOR)

    def doubted(self, basis: str, by: float = HALF) -> Identity:
        """Return the same identity with less trust."""
        return replace(self, trust=self.trust * by, basis=basis)


def identify(process: Process) -> Identity:
    """Return which program a process is."""
    claimed = claimed_name(process.argv) or process.comm
    if process.exe is None:
        info = lookup(claimed)
        return Identity(claimed, HALF, info, _directory_by_argv(process.argv), "argv alone")
    path = process.exe.removesuffix(" (deleted)")
    name = _base(path)
    bare = unversioned(name)
    if name in MULTI_CALL:
        return _multi_call(process, name, claimed)
    if is_loader(name):
        return _loaded(process, name, info=lookup(claimed))
    if bare in INTERPRETERS:
        return _interpreted(process, bare, claimed)
    info = lookup(name)
    if info is not None and info.role is Role.SHELL:
        script = _shell_script(process.argv)
        return _of_script(name, script) if script else _plain(process, name, info, claimed)
    return _plain(process, name, info, claimed)


def claimed_name(argv: tuple[str, ...]) -> str:
    """Return the name by which a process calls itself.

    A title such as ``nginx: master process nginx`` or ``sshd: root@pts/0`` begins with it, a login
    shell puts a dash before it, and systemd an ``@`` before the name of a bus.
    """
    if not argv:
        return ""
    first = argv[0].strip().lstrip("-@")
    head, colon, _ = first.partition(": ")
    if colon or first.endswith(":"):
        return _base(head.rstrip(":"))
    # A rewritten title is one argument that contains spaces; a path with spaces is rare.
    return _base(first.split(" ", 1)[0]) if " " in first else _base(first)


def _plain(process: Process, name: str, info: ProgramInfo | None, claimed: str) -> Identity:
    directory = _directory_of(process.exe or "")
    if name in _DAEMONS_OF_MAIL and directory.startswith(_OF_THE_OWNER):
        info = None
    identity = Identity(name, 1.0, info, directory, "exe and argv")
    if info is None:
        return identity
    other = lookup(claimed)
    if other is not None and other.family == info.family and info.role is not Role.MANAGER:
        # One binary under two names of its package: udevadm and systemd-udevd, redis-check-rdb.
        identity = replace(identity, name=claimed)
    # A title may begin with what the process does: "supervising syslog-ng".
    titled = any(name in title.split() for title in process.argv[:1])
    agrees = titled or unversioned(claimed) == unversioned(name)
    if not agrees and (other is None or other.role != info.role):
        return identity.doubted("exe alone, as its argv says otherwise")
    if info.role is not Role.MANAGER and contradicts_itself(process, identity):
        # A sleep that was copied to /usr/sbin/cron still needs its number.
        what = "exe, though its arguments are not those of such a service"
        return identity.doubted(what, HALF * HALF)
    return _by_options(identity, process.argv)


_OPTIONS_ONLY = frozenset({"sshd", "cron", "syslog"})
"""Families of services that are started with options only, never with an operand."""
TOLD_OF_TABLES = frozenset({"supercronic", "go-cron", "go-crond", "yacron"})
"""Crons that are given their table as an operand, or what they run and when."""
_MODES = {"socklog": ("unix", "inet", "ucspi")}
"""The exceptions, with the operands that they take."""


_OF_A_DESKTOP = ProgramInfo("dbus", Role.UTILITY)
"""The dbus of a user's session, not the system's."""


def contradicts_itself(process: Process, identity: Identity) -> bool:
    """Return whether a process has an operand, though its kind is started with options only.

    A runlevel may follow the name of an init.
    """
    if identity.role is Role.MANAGER:
        return _has_operand(process.argv, ()) and len(process.argv[1]) > 1
    family = identity.info.family if identity.info else ""
    if identity.name in TOLD_OF_TABLES:
        return any(word.isdigit() for word in process.argv[1:2])
    return family in _OPTIONS_ONLY and _has_operand(process.argv, _MODES.get(identity.name, ()))


def _has_operand(argv: tuple[str, ...], modes: Collection[str]) -> bool:
    return any(word and not word.startswith("-") and word not in modes for word in argv[1:2])


def _by_options(identity: Identity, argv: tuple[str, ...]) -> Identity:
    """Tell programs of one name apart by how they were started."""
    if identity.name == "init" and ("--" in argv or identity.directory not in _INITS):
        # Engines put reapers at /dev/init, images at /init; sysvinit is only ever in these places.
        return replace(identity, info=lookup("podman-init"))
    if identity.name == "dbus-daemon" and "--session" in argv:
        return replace(identity, info=_OF_A_DESKTOP)
    return identity


def _multi_call(process: Process, name: str, claimed: str) -> Identity:
    applet = claimed
    if applet == name and len(process.argv) > 1:
        if process.argv[1].startswith("-"):
            # Not an applet: Toolbx is called toolbox too, and takes options.
            return _plain(process, name, lookup(name), claimed)
        applet = _base(process.argv[1])
    if applet in ("sh", "ash", "hush", "bash"):
        script = _shell_script(_without_applet(process.argv, name))
        if script:
            return _of_script(applet, script)
    identity = Identity(applet, 1.0, lookup(applet), "", "argv")
    basis = f"argv alone, as {name} is many programs"
    return (
        identity.doubted(basis) if identity.info is None or identity.believed_by_half else identity
    )


def _interpreted(process: Process, interpreter: str, claimed: str) -> Identity:
    script = _script_argument(process.argv, interpreter)
    directory = _directory_of(script)
    for candidate in (_without_suffix(_base(script)), claimed):
        if unversioned(candidate) != interpreter and _can_be_script(candidate):
            basis = f"argv alone, as {interpreter} runs it"
            return Identity(candidate, HALF, lookup(candidate), directory, basis)
    name = _without_suffix(_base(script)) or interpreter
    return Identity(name, 1.0, lookup(interpreter), directory, "exe and argv")


def _of_script(shell: str, script: str) -> Identity:
    """Identify a shell script: as a shell, or as the program that it is the script of."""
    name = _without_suffix(_base(script)) or shell
    info = lookup(name if _can_be_script(name) else "sh")
    return Identity(name, HALF, info, _directory_of(script), f"argv alone, as {shell} runs it")


def _can_be_script(name: str) -> bool:
    """Return whether a known name can be that of a script; an sshd or an init cannot."""
    info = lookup(name)
    if info is None or name in _DAEMONS_OF_MAIL:
        return False
    return info.role in (Role.APPLICATION, Role.SUPERVISOR, Role.WRAPPER) or name in INTERPRETED


def _loaded(process: Process, loader: str, info: ProgramInfo | None) -> Identity:
    """Identify what a loader or an emulator runs, by its arguments."""
    words = process.argv
    start = next((i for i, w in enumerate(words) if i and w and not w.startswith("-")), None)
    basis = f"argv alone, as {loader} runs it"
    if start is None or " " in words[0].strip():
        # It has written a title over its arguments: what follows is the rest of them, if anything.
        return Identity(claimed_name(words) or loader, HALF, info, "", basis)
    inner = identify(replace(process, exe=words[start], argv=words[start:]))
    return replace(inner, trust=min(inner.trust, HALF), basis=basis)


def _shell_script(argv: tuple[str, ...]) -> str:
    """Return the script that a shell runs; none where it is interactive or was given ``-c``."""
    for word in argv[1:]:
        if word.startswith(("-", "+")):
            if "c" in word and not word.startswith("--"):
                return ""
            continue
        return word
    return ""


def _without_applet(argv: tuple[str, ...], name: str) -> tuple[str, ...]:
    return argv[1:] if argv and _base(argv[0]) == name else argv


def _script_argument(argv: tuple[str, ...], interpreter: str) -> str:
    """Return what an interpreter runs: the script, the module after -m, the jar, the main class."""
    words = iter(argv[1:])
    for word in words:
        if word in ("-m", "-jar", "-module"):
            return next(words, "")
        if word in ("-c", "-e", "-E"):
            return ""
        if word in ("-cp", "-classpath", "--class-path", "-p", "-r", "--require", "-W", "-X", "-I"):
            next(words, "")
        elif not word.startswith("-"):
            # A main class stands with its package: org.apache.catalina.startup.Bootstrap.
            return word.rpartition(".")[2] if interpreter == "java" and "/" not in word else word
    return ""


def _without_suffix(name: str) -> str:
    for suffix in (".py", ".pl", ".rb", ".js", ".mjs", ".sh", ".jar", ".war", ".php", ".bash"):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


def _base(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _directory_of(path: str) -> str:
    return path.rpartition("/")[0] if "/" in path else ""


def _directory_by_argv(argv: tuple[str, ...]) -> str:
    """Return the directory of a program by its arguments; a title names files in it, no program."""
    return _directory_of(argv[0].split(" ", 1)[0]) if argv else ""


def package_directory(directory: str) -> str:
    """Return the directory that tells one package from another, or an empty string.

    Everything under ``/opt/gitlab`` is one product; ``/usr/bin`` says nothing. Each path in the
    store of Nix or Guix is a package.
    """
    if directory in _SYSTEM_BIN or not directory:
        return ""
    for store in _STORES:
        if directory.startswith(store):
            return store + directory.removeprefix(store).partition("/")[0]
    for top in _OWN_CODE:
        if directory == top or directory.startswith(top + "/"):
            rest = directory.removeprefix(top).strip("/").split("/")
            sub = rest[0] if rest[0] not in ("bin", "sbin", "lib", "") else ""
            return f"{top}/{sub}" if sub else top
    parts = directory.strip("/").split("/")
    if parts[:2] in (["usr", "lib"], ["usr", "libexec"]) and len(parts) > 2:
        return "/".join(["", *parts[:3]])
    return "/" + parts[0]


def product_directory(directory: str) -> str:
    """Return the directory of the product that a program was installed with, or an empty string.

    ``/opt/gitlab`` is one; what is in ``/usr/local`` may come from many products. A package in the
    store of Nix or Guix is no product: the distribution made it, as Debian one in ``/usr/bin``.
    """
    package = package_directory(directory)
    return "" if package in _OF_MANY or package.startswith(_STORES) else package
