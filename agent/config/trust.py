"""Whether other users may change the files that the agent believes, or read its secrets.

A file that its group or every user may write is refused, as sshd(8) refuses one (StrictModes): who
can write the configuration chooses what root's processes run and read. What may be intended, such
as a file of another user or a key that every user may read, is a warning.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Sequence


class UntrustedFileError(Exception):
    """Others may change the file; the message says who, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedFile:
    """A file that was read."""

    path: str
    content: bytes
    mode: int
    """As stat(2) has it; 0 of what is no regular file, such as a pipe of the shell's."""
    warnings: tuple[str, ...] = ()
    """Who else may change it though it was read; each names the file."""

    def exposure(self, what: str) -> tuple[str, ...]:
        """Return a warning if every user may read it; ``what`` is the secret that it holds."""
        if not self.mode & stat.S_IROTH:
            return ()
        shown = printable(self.path)
        return (f"{shown}: every user may read {what} ({_octal(self.mode)}): chmod o-r {shown}",)


def read_trusted(path: str) -> TrustedFile:
    """Read a file of the administrator's. Raises OSError and ``UntrustedFileError``."""
    with open(path, "rb") as stream:
        # Of the open file: its name may lead elsewhere by now.
        status = os.fstat(stream.fileno())
        warnings = _warnings(path, status) if stat.S_ISREG(status.st_mode) else ()
        content = stream.read()
    mode = status.st_mode if stat.S_ISREG(status.st_mode) else 0
    return TrustedFile(path=path, content=content, mode=mode, warnings=warnings)


def program_warnings(command: Sequence[str]) -> tuple[str, ...]:
    """Return who else may change the programs that a command names, as of ``read_trusted``.

    What cannot be found is left to whoever runs it. Raises ``UntrustedFileError``.
    """
    warnings: list[str] = []
    for index, word in enumerate(command):
        # With sudo or a shell in front, the program that matters is a later word.
        path = shutil.which(word) if index == 0 or word.startswith("/") else None
        if path is not None:
            warnings += _warnings(path, os.stat(path))
    return tuple(dict.fromkeys(warnings))


def key_warnings(folder: str) -> tuple[str, ...]:
    """Return who else may read or change the files of a DOCKER_CERT_PATH."""
    warnings: list[str] = []
    for name in ("key.pem", "cert.pem", "ca.pem"):
        try:
            file = read_trusted(os.path.join(folder, name))
        except OSError:
            continue
        except UntrustedFileError as error:
            # Docker's client uses it all the same.
            warnings.append(str(error).replace("is not used, as", "is not safe:"))
        else:
            warnings += file.warnings
            warnings += file.exposure("this key") if name == "key.pem" else ()
    return tuple(dict.fromkeys(warnings))


def _warnings(path: str, status: os.stat_result) -> tuple[str, ...]:
    shown = printable(path)
    writers = _writers(status.st_mode)
    if writers:
        raise UntrustedFileError(
            f"{shown}: is not used, as {writers} may write it ({_octal(status.st_mode)}): "
            f"chmod go-w {shown}"
        )
    warnings = []
    if status.st_uid not in (0, os.geteuid()):
        warnings.append(f"{shown}: belongs to user {status.st_uid}, who may change it: chown root")
    # Where it is named, and where that leads: a link may be replaced, and so may what it names.
    for folder in dict.fromkeys(map(os.path.dirname, (os.path.abspath(path), _real(path)))):
        warnings += _folder_warnings(shown, folder)
    return tuple(warnings)


def _folder_warnings(shown: str, folder: str) -> list[str]:
    """Return who may replace a file by what they may do to its directory."""
    try:
        status = os.stat(folder)
    except OSError:
        return []
    warnings = []
    name = printable(folder)
    writers = _writers(status.st_mode)
    # In a sticky directory, such as /tmp, only the owners of a file may replace it.
    if writers and not status.st_mode & stat.S_ISVTX:
        what = f"{writers} may replace it: {name} is writable ({_octal(status.st_mode)})"
        if status.st_mode & stat.S_IWOTH:
            raise UntrustedFileError(f"{shown}: is not used, as {what}: chmod go-w {name}")
        warnings.append(f"{shown}: {what}: chmod g-w {name}")
    if status.st_uid not in (0, os.geteuid()):
        warnings.append(
            f"{shown}: its directory {name} belongs to user {status.st_uid}: chown root"
        )
    return warnings


def _writers(mode: int) -> str:
    if mode & stat.S_IWOTH:
        return "every user"
    return "its group" if mode & stat.S_IWGRP else ""


def _octal(mode: int) -> str:
    return f"mode {stat.S_IMODE(mode):04o}"


def _real(path: str) -> str:
    try:
        return os.path.realpath(path)
    except OSError:
        return os.path.abspath(path)
