from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import collectors
from collectors import syscalls

ROOT = Path(collectors.__file__).parent.parent

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="takes capabilities")


def status(field: str) -> str:
    text = Path("/proc/thread-self/status").read_text()
    found = re.search(rf"^{field}:\s*(.*)$", text, re.MULTILINE)
    assert found
    return found[1]


def run(program: str) -> str:
    """Run a program in a process of its own, as what it changes of itself is not to be undone."""
    done = subprocess.run(
        [sys.executable, "-c", "from collectors.syscalls import *\n" + program],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_ctypes_is_imported_here_and_where_reading_keeps_the_interpreter_lock() -> None:
    users = {
        str(path.relative_to(ROOT))
        for package in ("agent", "collectors")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"^(import|from) ctypes", path.read_text(), re.MULTILINE)
        and path.name != "program.py"  # runs a program of one import for a child
    }
    assert users == {"collectors/syscalls.py", "collectors/kernel/counters/calls.py"}


def test_openat2_opens_below_a_directory_and_closes_on_exec(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("inside")
    directory = os.open(tmp_path, os.O_PATH)
    fd = syscalls.openat2(directory, "/file", os.O_RDONLY, syscalls.RESOLVE_IN_ROOT)
    assert os.read(fd, 10) == b"inside"
    assert not os.get_inheritable(fd)
    os.close(fd)
    with pytest.raises(FileNotFoundError, match="nothing"):
        syscalls.openat2(directory, "nothing", os.O_RDONLY, 0)
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(OSError, match="link") as caught:
        syscalls.openat2(directory, "link", os.O_RDONLY, syscalls.RESOLVE_NO_SYMLINKS)
    assert caught.value.errno == errno.ELOOP
    os.close(directory)


def test_the_time_of_birth_is_not_that_of_the_last_change(tmp_path: Path) -> None:
    before = time.time()
    fd = os.open(tmp_path, os.O_PATH)
    os.utime(tmp_path, (1, 1))
    born = syscalls.birth_time(fd)
    os.close(fd)
    assert born is None or before - 60 < born <= time.time()
    with pytest.raises(OSError, match="statx") as caught:
        syscalls.birth_time(fd)
    assert caught.value.errno == errno.EBADF


def test_what_is_no_namespace_cannot_be_entered(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OSError, match="setns") as caught:
        syscalls.setns(fd, syscalls.CLONE_NEWNET)
    os.close(fd)
    assert caught.value.errno == errno.EINVAL


def test_a_socket_option_is_answered_in_the_length_of_the_question() -> None:
    with socket.socket() as here:
        answer = syscalls.getsockopt(
            here.fileno(), socket.SOL_SOCKET, socket.SO_TYPE, b"\xff\xff\xff\xff"
        )
        assert int.from_bytes(answer, sys.byteorder) == socket.SOCK_STREAM
        with pytest.raises(OSError, match="getsockopt") as caught:
            syscalls.getsockopt(here.fileno(), socket.SOL_SOCKET, 9999, bytes(4))
        assert caught.value.errno == errno.ENOPROTOOPT


def test_a_filter_drops_what_it_does_not_accept() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        # Load the first byte; accept if it is "y".
        program = ((0x30, 0, 0, 0), (0x15, 0, 1, ord("y")), (0x06, 0, 0, 100), (0x06, 0, 0, 0))
        syscalls.attach_filter(ours.fileno(), program)
        theirs.send(b"no")
        theirs.send(b"yes")
        ours.setblocking(False)  # noqa: FBT003 - the signature of the standard library
        assert ours.recv(10) == b"yes"
        with pytest.raises(OSError, match="setsockopt"):
            syscalls.attach_filter(ours.fileno(), ())


def test_the_name_of_a_thread_is_cut_to_15_bytes() -> None:
    names = []

    def name_it() -> None:
        syscalls.set_thread_name("a-name-of-20-letters")
        names.append(status("Name"))

    thread = threading.Thread(target=name_it)
    thread.start()
    thread.join()
    assert names == ["a-name-of-20-le"]


def test_a_process_ends_with_the_parent_that_it_follows() -> None:
    child = """
import os, time
reader, writer = os.pipe()
parent = os.fork()
if parent == 0:
    child = os.fork()
    if child == 0:
        set_parent_death_signal(9)
        os.write(writer, b"ready")
        time.sleep(60)
    os.read(reader, 5)
    os._exit(0)
os.close(writer)
os.waitpid(parent, 0)
print(os.read(reader, 1))  # the end of the file comes when the last writer is gone
"""
    started = time.monotonic()
    assert run(child) == "b''"
    assert time.monotonic() - started < 30
    with pytest.raises(OSError, match="prctl"):
        syscalls.set_parent_death_signal(signal.NSIG + 1000)


def test_no_new_privileges_is_for_good() -> None:
    read = "print(open('/proc/self/status').read().split('NoNewPrivs:')[1].split()[0])"
    assert run(f"forbid_new_privileges()\n{read}") == "1"


def test_permitted_capabilities_are_those_that_proc_shows() -> None:
    assert syscalls.permitted_capabilities() == int(status("CapPrm"), 16)


@AS_ROOT
def test_capabilities_that_are_given_up_are_gone() -> None:
    own = syscalls.permitted_capabilities()
    kept = own & ((1 << 38) | (1 << 0) | (1 << 2))  # two of the lower 32 bits, one of the upper
    program = f"""
set_capabilities({kept})
print(permitted_capabilities())
try:
    set_capabilities({own | kept})
except OSError as error:
    print(error)
"""
    held, *refused = run(program).splitlines()
    assert int(held) == kept
    assert own == kept or "capset" in refused[0]


@AS_ROOT
def test_capabilities_are_kept_by_another_user_only_if_asked() -> None:
    become = "import os\nos.setresuid(65534, 65534, 65534)\nprint(permitted_capabilities())"
    own = syscalls.permitted_capabilities()
    assert run(become) == "0"
    assert run("keep_capabilities()\n" + become) == str(own)


def test_a_thread_at_idle_priority() -> None:
    answers = []

    def rest() -> None:
        try:
            syscalls.set_idle_io_priority(threading.get_native_id())
        except OSError as error:
            answers.append(error.errno)

    thread = threading.Thread(target=rest)
    thread.start()
    thread.join()
    assert answers in ([], [errno.ENOSYS])
    with pytest.raises(OSError, match=r"ioprio_set"):
        syscalls.set_idle_io_priority(2**22 + 1)


def test_memory_is_given_back_or_there_is_no_such_call() -> None:
    program = """
try:
    trim_malloc()
except OSError as error:
    print(error.errno)
"""
    assert run(program) in ("", str(errno.ENOSYS))


def test_threads_share_arenas_or_there_is_no_such_call() -> None:
    program = """
import threading
try:
    limit_malloc_arenas(1)
except OSError:
    print("not glibc")
else:
    def work():
        bytearray(1 << 12)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print("shared")
"""
    assert run(program) in ("shared", "not glibc")


def test_a_libc_without_a_call_is_said_as_a_kernel_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(syscalls, "_libc", object())
    for call in (syscalls.trim_malloc, lambda: syscalls.limit_malloc_arenas(1)):
        with pytest.raises(OSError, match=r"malloc_trim|mallopt") as caught:
            call()
        assert caught.value.errno == errno.ENOSYS
    with pytest.raises(OSError, match="statx") as caught:
        syscalls.birth_time(0)
    assert caught.value.errno == errno.ENOSYS


def test_without_unix_sockets_only_those_of_others_are_out_of_reach() -> None:
    program = """
import os, socket, subprocess, sys, threading
forbid_unix_sockets()
def can(*kind):
    try:
        socket.socket(*kind).close()
    except OSError as error:
        return error.errno
    return 0
found = [can(socket.AF_INET), can(socket.AF_NETLINK, socket.SOCK_RAW), can(socket.AF_UNIX)]
found.append(can(socket.AF_UNIX, socket.SOCK_DGRAM))
one, other = socket.socketpair()
thread = threading.Thread(target=lambda: found.append(can(socket.AF_UNIX)))
thread.start(); thread.join()
code = "import socket; socket.socket(socket.AF_UNIX)"
found.append(subprocess.run([sys.executable, "-c", code], capture_output=True).returncode)
print(found)
"""
    refused = errno.EACCES
    assert run(program) == str([0, 0, refused, refused, refused, 1])
