"""The only access to the host's files: /proc, /sys, the root filesystem, and container roots.

Each read returns the value or raises ``Gone`` (it vanished: normal), ``Denied`` (counted, and shown
as a metric) or ``Malformed`` (counted). Paths are resolved relative to directory descriptors, so
that a process or cgroup that replaced another of the same name is never read by mistake, and so
that a captured tree can stand in for a host.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
import threading
from collections import Counter
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from collectors.confined import open_in_root, open_on_mount
from collectors.facts import FileId

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

READ_LIMIT = 1 << 20
"""Largest file that is read unless the caller gives another limit, in bytes."""

LIST_LIMIT = 50_000
"""Most directory entries that are read where an untrusted process can create them."""

_GONE = frozenset({errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.ENOTDIR, errno.ENXIO})
_DENIED = frozenset({errno.EACCES, errno.EPERM})


class HostReadError(Exception):
    """A file of the host could not be read; ``path`` is its path on the host."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class Gone(HostReadError):
    """It does not exist, or not any more: containers and processes come and go."""


class Denied(HostReadError):
    """The agent may not read it."""


class Malformed(HostReadError):
    """It exists, but is not what it should be: malformed, too large, not a regular file."""


def or_none(
    read: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result | None:
    """Return what ``read(*args, **kwargs)`` returns, None where it raises ``HostReadError``.

    What was denied or malformed is counted all the same.
    """
    try:
        return read(*args, **kwargs)
    except HostReadError:
        return None


_MOST_KINDS = 200
"""Classes of paths that are counted each by itself; all others are one."""

_OTHER_KINDS = "others"

_OF_INIT = re.compile(r"(?:(?!/proc/).)*/proc/1/")
"""Files of the host's init. Where it may more than the agent, they are always denied: in a sandbox
whose init is somebody else's. It is no container, so nothing is missing because of that."""


class Tally:
    """How often reads were denied or malformed, by class of path; safe across threads."""

    def __init__(self) -> None:
        self.denied: Counter[str] = Counter()
        self.malformed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, error: HostReadError) -> None:
        """Count one failed read; the first of each class of path is logged."""
        if isinstance(error, Denied) and _OF_INIT.match(error.path):
            log.debug("cannot read %s (%s)", error.path, error)
            return
        kind = path_class(error.path)
        counter = self.denied if isinstance(error, Denied) else self.malformed
        with self._lock:
            if kind not in counter and len(counter) >= _MOST_KINDS:
                # Users choose names, too: of containers, of directories in their homes.
                kind = _OTHER_KINDS
            counter[kind] += 1
            first = counter[kind] == 1
        if first:
            log.info("cannot read %s (%s); more of this kind are only counted", error.path, error)


def path_class(path: str) -> str:
    """Return the class of a path: numbers and long hexadecimal ids become ``*``.

    ``/proc/4711/root`` and ``/proc/4712/root`` are one class, so that a log line or a counter per
    class stays bounded.
    """
    parts = []
    for part in PurePosixPath(path).parts[:6]:
        is_id = part.isdigit() or (len(part) >= 32 and part[:32].isalnum())
        parts.append("*" if is_id else part)
    return "/".join(parts).replace("//", "/")


class Dir:
    """An open directory of the host from which files are read; close it, or use ``with``.

    With ``confined`` every path is resolved as if this directory were ``/``, see confined.py, and
    only regular files are read: for trees that an untrusted process can write to, and for a host
    root that is mounted elsewhere.
    """

    __slots__ = ("_name", "_owner", "_tally", "confined", "fd")

    def __init__(
        self,
        fd: int,
        name: str,
        tally: Tally,
        *,
        confined: bool = False,
        owner: _Descriptors | None = None,
    ) -> None:
        self.fd = fd
        self._owner = owner  # closes the descriptor, where several directories share it
        self._name = name
        self._tally = tally
        self.confined = confined

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor; a second call does nothing."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def path(self, relative: str) -> str:
        """Return the path on the host of ``relative``, for messages."""
        return f"{self._name}/{relative}" if relative not in ("", ".") else self._name

    def read(self, relative: str, limit: int = READ_LIMIT) -> bytes:
        """Read a whole file of at most ``limit`` bytes."""
        try:
            fd = self._open(relative, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            try:
                self._check_regular(fd, relative)
                return self._read_all(fd, relative, limit)
            finally:
                os.close(fd)
        except OSError as error:
            raise self.translate(error, relative) from error

    def read_head(self, relative: str, limit: int) -> bytes:
        """Read at most the first ``limit`` bytes of a file that may be larger."""
        try:
            fd = self._open(relative, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            try:
                self._check_regular(fd, relative)
                return os.read(fd, limit)
            finally:
                os.close(fd)
        except OSError as error:
            raise self.translate(error, relative) from error

    def read_text(self, relative: str, limit: int = READ_LIMIT) -> str:
        """Read a file as UTF-8; invalid bytes become U+FFFD."""
        return self.read(relative, limit).decode("utf-8", "replace")

    def readlink(self, relative: str) -> str:
        """Read where a symbolic link points to, without following it."""
        try:
            if not self.confined:
                return os.readlink(relative, dir_fd=self.fd)
            fd = self._open(relative, os.O_PATH | os.O_NOFOLLOW)
            try:
                return os.readlink("", dir_fd=fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise self.translate(error, relative) from error

    def stat(self, relative: str = ".", *, follow: bool = True) -> os.stat_result:
        """Return the status of a path, stat(2)."""
        try:
            if not self.confined:
                return os.stat(relative, dir_fd=self.fd, follow_symlinks=follow)
            fd = self._open(relative, os.O_PATH | (0 if follow else os.O_NOFOLLOW))
            try:
                return os.fstat(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise self.translate(error, relative) from error

    def file_id(self, relative: str = ".") -> FileId:
        """Return device and inode of the file that a path leads to."""
        status = self.stat(relative)
        return FileId(status.st_dev, status.st_ino)

    def listdir(self, relative: str = ".", limit: int = LIST_LIMIT) -> list[str]:
        """Return the names in a directory, at most ``limit`` of them, in no order."""
        try:
            fd = self._open(relative, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
            try:
                names = []
                with os.scandir(fd) as entries:
                    for entry in entries:
                        names.append(entry.name)
                        if len(names) >= limit:
                            break
                return names
            finally:
                os.close(fd)
        except OSError as error:
            raise self.translate(error, relative) from error

    def subdirectories(self, relative: str = ".", limit: int = LIST_LIMIT) -> list[str]:
        """Return the names of the directories in a directory, symbolic links left out.

        Only the first ``limit`` entries are looked at.
        """
        try:
            fd = self._open(relative, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
            try:
                with os.scandir(fd) as entries:
                    first = islice(entries, limit)
                    return [e.name for e in first if e.is_dir(follow_symlinks=False)]
            finally:
                os.close(fd)
        except OSError as error:
            raise self.translate(error, relative) from error

    def exists(self, relative: str) -> bool:
        """Return whether a path exists and may be accessed."""
        return or_none(self.stat, relative) is not None

    def open_dir(self, relative: str, *, confined: bool | None = None) -> Dir:
        """Open a directory below this one.

        It is confined if this one is, or if asked for; a confined directory is a root of its own.
        """
        try:
            fd = self._open(relative, os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            raise self.translate(error, relative) from error
        confine = self.confined if confined is None else confined
        return Dir(fd, self.path(relative), self._tally, confined=confine)

    def open_below(self, relative: str) -> Dir:
        """Open a directory below this one, on the same mount and not through a link, confined.

        Another mount, or a link, is Gone: reading an untrusted FUSE filesystem can block for ever.
        """
        try:
            fd = open_on_mount(self.fd, relative, os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.ELOOP):
                raise Gone(self.path(relative), "another mount, or a link") from error
            raise self.translate(error, relative) from error
        return Dir(fd, self.path(relative), self._tally, confined=True)

    def malformed(self, relative: str, why: str) -> Malformed:
        """Return a ``Malformed`` to raise, and count it: for content that cannot be parsed."""
        error = Malformed(self.path(relative), why)
        self._tally.count(error)
        return error

    def _open(self, relative: str, flags: int) -> int:
        if self.confined:
            return open_in_root(self.fd, relative, flags)
        return os.open(relative, flags | os.O_CLOEXEC, dir_fd=self.fd)

    def _check_regular(self, fd: int, relative: str) -> None:
        if self.confined and not stat.S_ISREG(os.fstat(fd).st_mode):
            raise self.malformed(relative, "not a regular file")

    def _read_all(self, fd: int, relative: str, limit: int) -> bytes:
        # /proc returns a page at a time, and 0 as st_size: read until the end of the file.
        data = os.read(fd, min(limit + 1, 65536))
        if not data:
            return data
        chunks = [data]
        size = len(data)
        while data and size <= limit:
            data = os.read(fd, min(limit + 1 - size, 65536))
            chunks.append(data)
            size += len(data)
        if size > limit:
            raise self.malformed(relative, f"larger than {limit} bytes")
        return b"".join(chunks)

    def translate(self, error: OSError, relative: str) -> HostReadError:
        """Turn an OSError into Gone, Denied or Malformed, and count it."""
        path = self.path(relative)
        why = error.strerror or str(error)
        if error.errno in _GONE:
            return Gone(path, why)
        failure = Denied(path, why) if error.errno in _DENIED else Malformed(path, why)
        self._tally.count(failure)
        return failure


class _Descriptors:
    """Open descriptors that several ``Dir`` share, closed when the last of these is deleted."""

    def __init__(self) -> None:
        self.fds: list[int] = []

    def __del__(self) -> None:
        for fd in self.fds:
            os.close(fd)


class HostFS:
    """The host's /proc, /sys and root filesystem, wherever they are mounted.

    ``procfs``, ``sysfs`` and ``rootfs`` are the flags --path.procfs, --path.sysfs, --path.rootfs.
    Raises ``HostReadError`` when procfs cannot be opened at all; the others may be missing.
    """

    def __init__(self, procfs: str = "/proc", sysfs: str = "/sys", rootfs: str = "/") -> None:
        self.procfs = procfs
        self.sysfs = sysfs
        self.rootfs = rootfs
        self.tally = Tally()
        self._descriptors = _Descriptors()
        self.proc = self._top(procfs, "/proc", confined=False)
        self.sys = self._top(sysfs, "/sys", confined=False)
        # Absolute symlinks in a root that is not our own must not lead into our own.
        self.root = self._top(rootfs, "", confined=rootfs != "/")

    def with_tally(self) -> HostFS:
        """Return the same host with another tally, so that each collector counts its own reads."""
        other = object.__new__(HostFS)
        other.procfs, other.sysfs, other.rootfs = self.procfs, self.sysfs, self.rootfs
        other.tally = Tally()
        owner = other._descriptors = self._descriptors
        other.proc = Dir(self.proc.fd, "/proc", other.tally, owner=owner)
        other.sys = Dir(self.sys.fd, "/sys", other.tally, owner=owner)
        other.root = Dir(self.root.fd, "", other.tally, confined=self.root.confined, owner=owner)
        return other

    def process(self, pid: int) -> Dir:
        """Open /proc/<pid>; it stays that process's, also when the pid is reused."""
        return self.proc.open_dir(str(pid))

    def container_root(self, pid: int) -> Dir:
        """Open the root filesystem of a process, confined: the container controls its content."""
        return self.proc.open_dir(f"{pid}/root/", confined=True)

    def open_namespace(self, pid: int, kind: str) -> int:
        """Open a namespace of a process, namespaces(7); the caller closes the descriptor.

        While it is open the namespace exists, so do not keep it.
        """
        relative = f"{pid}/ns/{kind}"
        try:
            return os.open(relative, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.proc.fd)
        except OSError as error:
            raise self.proc.translate(error, relative) from error

    def host_path(self, path: str) -> str:
        """Return the path by which this process itself reaches an absolute path of the host.

        For what cannot go through a descriptor: sockets to connect to, programs to run.
        """
        return path if self.rootfs == "/" else self.rootfs.rstrip("/") + path

    def sys_path(self, relative: str) -> str:
        """Return the path of something in sysfs, for what takes no descriptor (inotify)."""
        return f"{self.sysfs}/{relative}"

    def _top(self, path: str, name: str, *, confined: bool) -> Dir:
        try:
            fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            why = error.strerror or str(error)
            if name == "/proc":
                raise Gone(path, why) from error
            log.warning("%s cannot be opened (%s): what it holds is not seen", path, why)
            return Dir(-1, name, self.tally, confined=confined)
        self._descriptors.fds.append(fd)
        return Dir(fd, name, self.tally, confined=confined, owner=self._descriptors)
