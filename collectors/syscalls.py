"""System calls, and calls of the C library, that Python 3.11 has no function for, by ctypes.

Each raises OSError with the call's errno. ENOSYS is an error like any other: a kernel, a libc or a
seccomp filter may lack a call.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_libc = ctypes.CDLL(None, use_errno=True)


def _error(call: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), call)


def _missing(call: str) -> OSError:
    return OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), call)


# Files

RESOLVE_NO_XDEV = 0x01  # include/uapi/linux/openat2.h
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_SYS_OPENAT2 = 437
_OPEN_HOW = struct.Struct("=QQQ")  # struct open_how: flags, mode, resolve


def openat2(directory: int, path: str, flags: int, resolve: int) -> int:
    """Open ``path`` below ``directory`` with RESOLVE_* flags, close-on-exec; openat2(2).

    ENOSYS: kernel before 5.6, or a seccomp filter. Call it through confined.py, which then does
    without; never fall back to open(2), which follows an untrusted link out of the root.
    """
    how = _OPEN_HOW.pack(flags | os.O_CLOEXEC, 0, resolve)
    raw = ctypes.c_char_p(os.fsencode(path))
    descriptor = int(_libc.syscall(_SYS_OPENAT2, directory, raw, how, len(how)))
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return descriptor


_SYS_MEMFD_CREATE = {"x86_64": 319, "aarch64": 279, "riscv64": 279, "ppc64le": 360, "s390x": 350}
_MFD_CLOEXEC = 1  # include/uapi/linux/memfd.h


def memfd_create(name: str) -> int:
    """Return a new anonymous file in memory, close-on-exec; memfd_create(2).

    A Python that was built with a glibc before 2.27 lacks os.memfd_create(). ENOSYS: kernel before
    3.17, or a seccomp filter.
    """
    number = _SYS_MEMFD_CREATE.get(os.uname().machine)
    if number is None:
        raise _missing("memfd_create")
    descriptor = int(_libc.syscall(number, ctypes.c_char_p(os.fsencode(name)), _MFD_CLOEXEC))
    if descriptor < 0:
        raise _error("memfd_create")
    return descriptor


_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_STATX_SIZE = 256  # sizeof(struct statx), include/uapi/linux/stat.h
_STATX_BTIME_OFFSET = 80


def birth_time(descriptor: int) -> float | None:
    """Return when an open file was created, in seconds since the epoch, statx(2).

    None where its filesystem keeps no birth time.
    """
    buffer = ctypes.create_string_buffer(_STATX_SIZE)
    try:
        failed = _libc.statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_BTIME, buffer)
    except AttributeError:  # a libc older than statx(2)
        raise _missing("statx") from None
    if failed:
        raise _error("statx")
    (mask,) = struct.unpack_from("=I", buffer)
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, _STATX_BTIME_OFFSET)
    if not mask & _STATX_BTIME or seconds <= 0:
        return None
    return float(seconds) + float(nanoseconds) / 1e9


# Namespaces and sockets

CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h


def setns(descriptor: int, kind: int) -> None:
    """Move the calling thread into an open namespace of the kind CLONE_NEW*, setns(2)."""
    if _libc.setns(descriptor, kind):
        raise _error("setns")


def getsockopt(descriptor: int, level: int, option: int, value: bytes) -> bytes:
    """Read a socket option whose value is also its question, getsockopt(2).

    socket.getsockopt() gives the kernel an empty buffer. The answer is as long as ``value``.
    """
    buffer = ctypes.create_string_buffer(value, len(value))
    size = ctypes.c_uint32(len(value))
    if _libc.getsockopt(descriptor, level, option, buffer, ctypes.byref(size)):
        raise _error("getsockopt")
    return buffer.raw


_SO_ATTACH_FILTER = 26  # include/uapi/asm-generic/socket.h
_SOCK_FILTER = struct.Struct("HBBI")  # struct sock_filter: code, jt, jf, k
_SOCK_FPROG = struct.Struct("HP")  # struct sock_fprog: len, filter


def attach_filter(descriptor: int, program: Sequence[tuple[int, int, int, int]]) -> None:
    """Filter what a socket receives by a program of classic BPF, SO_ATTACH_FILTER of socket(7)."""
    code = ctypes.create_string_buffer(b"".join(_SOCK_FILTER.pack(*line) for line in program))
    option = _SOCK_FPROG.pack(len(program), ctypes.addressof(code))
    if _libc.setsockopt(descriptor, socket.SOL_SOCKET, _SO_ATTACH_FILTER, option, len(option)):
        raise _error("setsockopt")


# Processes and threads

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
_PR_SET_KEEPCAPS = 8
_PR_SET_NAME = 15
_PR_SET_NO_NEW_PRIVS = 38


def set_parent_death_signal(signal: int) -> None:
    """Have the kernel send this process a signal when its parent ends, prctl(2).

    The parent is the thread that started this process, not the process of that thread.
    """
    _prctl(_PR_SET_PDEATHSIG, signal)


def keep_capabilities() -> None:
    """Keep the permitted capabilities when root becomes another user, PR_SET_KEEPCAPS of prctl(2).

    execve(2) resets it.
    """
    _prctl(_PR_SET_KEEPCAPS, 1)


def forbid_new_privileges() -> None:
    """Let no program that is executed gain privileges, PR_SET_NO_NEW_PRIVS of prctl(2)."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2  # include/uapi/linux/seccomp.h
_SECCOMP_ALLOW = 0x7FFF0000
_SECCOMP_ERRNO = 0x00050000
_SYS_SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""AUDIT_ARCH_* of include/uapi/linux/audit.h, and the number of socket(2)."""
_SYS_IO_URING_SETUP = 425
_X32 = 0x40000000  # the first call of another set of numbers, arch/x86/include/uapi/asm/unistd.h
_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS, at an offset in struct seccomp_data
_LOAD_NUMBER, _LOAD_ARCH, _LOAD_FIRST_ARGUMENT = 0, 4, 16
_IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x15, 0x35, 0x06  # BPF_JMP | BPF_JEQ or JGE | BPF_K, BPF_RET


def forbid_unix_sockets() -> None:
    """Let the calling thread, and all that it starts, open no unix socket: EACCES; seccomp(2).

    socketpair(2) works, as nobody else has the other end. ENOSYS on other machines than x86-64 and
    64-bit Arm. Like all of these filters it cannot be taken back.
    """
    known = _SYS_SOCKET.get(os.uname().machine)
    if known is None:
        raise _missing("seccomp")
    arch, number = known
    refused = _SECCOMP_ERRNO | errno.EACCES
    program = (
        (_LOAD, 0, 0, _LOAD_ARCH),
        (_IF_EQUAL, 0, 7, arch),  # of a 32-bit program nothing is known
        (_LOAD, 0, 0, _LOAD_NUMBER),
        (_IF_AT_LEAST, 5, 0, _X32),
        (_IF_EQUAL, 4, 0, _SYS_IO_URING_SETUP),  # it has sockets of its own
        (_IF_EQUAL, 0, 2, number),
        (_LOAD, 0, 0, _LOAD_FIRST_ARGUMENT),
        (_IF_EQUAL, 1, 0, int(socket.AF_UNIX)),
        (_RETURN, 0, 0, _SECCOMP_ALLOW),
        (_RETURN, 0, 0, refused),
    )
    code = ctypes.create_string_buffer(b"".join(_SOCK_FILTER.pack(*line) for line in program))
    filter_ = _SOCK_FPROG.pack(len(program), ctypes.addressof(code))
    forbid_new_privileges()
    zero = ctypes.c_ulong(0)
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    if _libc.prctl(_PR_SET_SECCOMP, mode, ctypes.c_char_p(filter_), zero, zero):
        raise _error("prctl")


def set_thread_name(name: str) -> None:
    """Name the calling thread, PR_SET_NAME of prctl(2); the kernel keeps 15 bytes.

    The main thread's name is shown as the process's.
    """
    _prctl(_PR_SET_NAME, ctypes.c_char_p(os.fsencode(name)))


def _prctl(option: int, value: int | ctypes.c_char_p) -> None:
    word = ctypes.c_ulong(value) if isinstance(value, int) else value
    zero = ctypes.c_ulong(0)
    if _libc.prctl(option, word, zero, zero, zero):
        raise _error("prctl")


_CAPABILITY_VERSION_3 = 0x20080522  # include/uapi/linux/capability.h
_CAPABILITY_HEADER = struct.Struct("=Ii")  # version, pid: 0 is the calling thread
_CAPABILITY_DATA = struct.Struct("=6I")
"""Effective, permitted, inheritable: the lower 32 bits of each, then the upper ones."""


def permitted_capabilities() -> int:
    """Return the permitted capabilities of the calling thread as a bit set, capget(2)."""
    header = ctypes.create_string_buffer(_CAPABILITY_HEADER.pack(_CAPABILITY_VERSION_3, 0))
    data = ctypes.create_string_buffer(_CAPABILITY_DATA.size)
    if _libc.capget(header, data):
        raise _error("capget")
    _, low, _, _, high, _ = _CAPABILITY_DATA.unpack(data.raw)
    return int(low | high << 32)


def set_capabilities(bits: int) -> None:
    """Set the effective and permitted capabilities of the calling thread, capset(2).

    The inheritable ones are cleared, and the ambient ones with them.
    """
    header = ctypes.create_string_buffer(_CAPABILITY_HEADER.pack(_CAPABILITY_VERSION_3, 0))
    low, high = bits & 0xFFFFFFFF, bits >> 32
    if _libc.capset(header, _CAPABILITY_DATA.pack(low, low, 0, high, high, 0)):
        raise _error("capset")


_SYS_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "ppc64le": 273, "s390x": 282}
_IOPRIO_WHO_PROCESS = 1  # include/uapi/linux/ioprio.h
_IOPRIO_CLASS_IDLE = 3 << 13


def set_idle_io_priority(thread: int) -> None:
    """Let a thread have the disk only when no other wants it, ioprio_set(2)."""
    number = _SYS_IOPRIO_SET.get(os.uname().machine)
    if number is None:
        raise _missing("ioprio_set")
    if _libc.syscall(number, _IOPRIO_WHO_PROCESS, thread, _IOPRIO_CLASS_IDLE):
        raise _error("ioprio_set")


# Memory

_M_ARENA_MAX = -8  # malloc.h


def limit_malloc_arenas(most: int) -> None:
    """Let threads take memory from at most so many arenas, M_ARENA_MAX of mallopt(3).

    Only arenas made later count, so call it before there are threads. ENOSYS: not glibc.
    """
    try:
        _libc.mallopt(_M_ARENA_MAX, most)
    except AttributeError:
        raise _missing("mallopt") from None


def trim_malloc() -> None:
    """Return free memory of the heap to the kernel, malloc_trim(3). ENOSYS: not glibc."""
    try:
        _libc.malloc_trim(ctypes.c_size_t(0))
    except AttributeError:
        raise _missing("malloc_trim") from None
