"""``python -m tests.support.old_kernel 4.18 COMMAND``: run it without the newer system calls.

A seccomp filter answers ENOSYS to each call that Linux has had only since a later version, as that
kernel would, in the command and all that it starts. What /proc and /sys show stays as it is.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

LAST_CALL = {
    "x86_64": {"3.10": 313, "4.4": 325, "4.18": 334, "5.4": 435},
    "aarch64": {"3.10": 273, "4.4": 284, "4.18": 293, "5.4": 435},
}
"""The highest number of a system call by machine and version: they are given in order of time.

arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of these versions.
"""

_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_SECCOMP_RET_ALLOW = 0x7FFF0000
_SECCOMP_RET_ERRNO = 0x00050000
_ENOSYS = 38
_LOAD_NUMBER = (0x20, 0, 0, 0)  # BPF_LD | BPF_W | BPF_ABS: seccomp_data.nr
_IF_GREATER = 0x25  # BPF_JMP | BPF_JGT | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K


def become(version: str) -> None:
    """Have this process, and all that it starts, see the system calls of that Linux alone."""
    last = LAST_CALL[os.uname().machine][version]
    program = (
        _LOAD_NUMBER,
        (_IF_GREATER, 0, 1, last),
        (_RETURN, 0, 0, _SECCOMP_RET_ERRNO | _ENOSYS),
        (_RETURN, 0, 0, _SECCOMP_RET_ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    filter_ = struct.pack("HP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if os.geteuid() != 0:
        libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero)
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    if libc.prctl(_PR_SET_SECCOMP, mode, ctypes.c_char_p(filter_), zero, zero):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "seccomp")


if __name__ == "__main__":
    become(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
