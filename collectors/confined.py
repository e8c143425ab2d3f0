"""Opens paths that never lead out of a directory, whatever an untrusted process puts there.

By openat2(2) where the kernel has it; otherwise (Linux before 5.6, or a seccomp filter that does
not know the call) by opening one component after another without following links, which needs
Linux 2.6.39 for links and 3.15 for mounts.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from functools import cache

from collectors.syscalls import (
    RESOLVE_BENEATH,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    openat2,
)

_MOST_LINKS = 40  # MAXSYMLINKS, include/linux/namei.h
_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@cache
def has_openat2() -> bool:
    """Return whether openat2(2) can be used here; a seccomp filter may answer EPERM or ENOSYS."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(openat2(root, ".", os.O_PATH, RESOLVE_IN_ROOT))
    except OSError:
        return False
    finally:
        os.close(root)
    return True


@cache
def tells_mounts_apart() -> bool:
    """Return whether ``open_on_mount`` can open anything."""
    if has_openat2():
        return True
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _mount_id(root) is not None
    finally:
        os.close(root)


def open_in_root(root: int, path: str, flags: int) -> int:
    """Open ``path`` as if the directory ``root`` were ``/``, for links and ``..`` as well.

    Links that the kernel makes, such as /proc/<pid>/root, lead nowhere or into ``root``.
    """
    if not path or "\0" in path:
        raise _error(errno.ENOENT, path)
    if has_openat2():
        return openat2(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    return _walk(root, path, flags)


def open_on_mount(directory: int, path: str, flags: int) -> int:
    """Open ``path`` below ``directory``, on the same mount and through no link.

    EXDEV is another mount, or one that cannot be told from it (before Linux 3.15); ELOOP a link.
    """
    if has_openat2():
        resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH
        return openat2(directory, path, flags, resolve)
    return _walk_on_mount(directory, path, flags)


def _walk(root: int, path: str, flags: int) -> int:
    """Do what openat2(2) does with RESOLVE_IN_ROOT, component by component.

    ``..`` goes back to the directory that was opened before, so one that is moved meanwhile leads
    out of the root no more than a link does.
    """
    below: list[int] = []  # what was opened below the root, outermost first
    left = deque(path.split("/"))
    links = 0
    try:
        while left:
            name = left.popleft()
            here = below[-1] if below else root
            if name in ("", ".", ".."):
                if not stat.S_ISDIR(os.fstat(here).st_mode):
                    raise _error(errno.ENOTDIR, path)
                if name == ".." and below:
                    os.close(below.pop())
                continue
            below.append(os.open(name, _STEP, dir_fd=here))
            if not stat.S_ISLNK(os.fstat(below[-1]).st_mode):
                continue
            if not left and flags & os.O_NOFOLLOW:
                break
            links += 1
            target = os.readlink("", dir_fd=below[-1])
            if links > _MOST_LINKS:
                raise _error(errno.ELOOP, path)
            os.close(below.pop())
            while target.startswith("/") and below:
                os.close(below.pop())
            left.extendleft(reversed(target.split("/")))
        return _reopen(below[-1] if below else root, path, flags)
    finally:
        for file in below:
            os.close(file)


def _walk_on_mount(directory: int, path: str, flags: int) -> int:
    """Do what openat2(2) does with RESOLVE_NO_XDEV, _NO_SYMLINKS and _BENEATH.

    A mount is recognised before anything is asked of its filesystem, which may never answer.
    """
    mount = _mount_id(directory)
    here = os.dup(directory)
    try:
        for name in path.split("/"):
            if name == "..":
                raise _error(errno.EXDEV, path)
            below = os.open(name or ".", _STEP, dir_fd=here)
            os.close(here)
            here = below
            if mount is None or _mount_id(here) != mount:
                raise _error(errno.EXDEV, path)
            if stat.S_ISLNK(os.fstat(here).st_mode):
                raise _error(errno.ELOOP, path)
        return _reopen(here, path, flags)
    finally:
        os.close(here)


def _reopen(file: int, path: str, flags: int) -> int:
    """Open with other flags what is open as O_PATH, so that it is the very same file."""
    mode = os.fstat(file).st_mode
    if flags & os.O_DIRECTORY and not stat.S_ISDIR(mode):
        raise _error(errno.ENOTDIR, path)
    if flags & os.O_PATH:
        return os.dup(file)
    if stat.S_ISLNK(mode):
        raise _error(errno.ELOOP, path)
    return os.open(f"/proc/self/fd/{file}", (flags & ~os.O_NOFOLLOW) | os.O_CLOEXEC)


def _mount_id(file: int) -> bytes | None:
    """Return the id of the mount that an open file is on, mnt_id of proc_pid_fdinfo(5)."""
    descriptor = os.open(f"/proc/self/fdinfo/{file}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _, found, rest = os.read(descriptor, 4096).partition(b"mnt_id:")
    finally:
        os.close(descriptor)
    return rest.split()[0] if found else None


def _error(code: int, path: str) -> OSError:
    return OSError(code, os.strerror(code), path)
