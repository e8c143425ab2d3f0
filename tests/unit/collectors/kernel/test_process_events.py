from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from collectors.hostfs import HostFS
from collectors.kernel.process_events import ProcessEvents, only_beginnings_and_ends
from tests.support.processes import process

FORK, EXEC, COMM, EXIT = 0x1, 0x2, 0x200, 0x80000000


def message(what: int, pid: int, tgid: int) -> bytes:
    """What the kernel sends: nlmsghdr, cn_msg, and proc_event of linux/cn_proc.h."""
    event = struct.pack("=IIQIIQ", what, 0, 1, pid, tgid, 0)
    connector = struct.pack("=IIIIHH", 1, 1, 0, 0, len(event), 0)
    return struct.pack("=IHHII", 36 + len(event), 3, 0, 0, 0) + connector + event


def test_the_kernel_passes_on_beginnings_and_ends_of_processes_only() -> None:
    kernel, agent = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with kernel, agent:
        only_beginnings_and_ends(agent.fileno())
        wanted = [message(EXEC, 7, 7), message(EXIT, 7, 7), message(EXEC, 9, 7)]
        others = [message(FORK, 7, 7), message(COMM, 7, 7), message(EXIT, 8, 7)]
        for one, other in zip(wanted, others, strict=True):
            kernel.send(other)
            kernel.send(one)
        assert [agent.recv(4096) for _ in wanted] == wanted
        agent.settimeout(0)
        with pytest.raises(BlockingIOError):
            agent.recv(4096)


def test_what_is_news(tmp_path: Path) -> None:
    for pid, mounts in ((10, 3), (20, 30), (30, 31)):
        (tmp_path / f"proc/{pid}/ns").mkdir(parents=True)
        os.symlink(f"mnt:[{mounts}]", tmp_path / f"proc/{pid}/ns/mnt")
    for name in ("sys", "root"):
        (tmp_path / name).mkdir()
    host = HostFS(*(str(tmp_path / name) for name in ("proc", "sys", "root")))
    events = ProcessEvents(host, lambda: None)
    container = process(20, ns={"mnt": 30}, root=1)
    events.know([process(10), container], [container.pid])

    def is_news(what: int, pid: int) -> bool:
        return events._is_news({"what": what, "process_pid": pid})

    assert is_news(EXEC, 30)  # mounts that nobody has seen yet
    assert not is_news(EXEC, 10)  # a program of the host
    assert not is_news(EXEC, 20)  # one more program in a container
    assert not is_news(EXEC, 40)  # over already
    assert is_news(EXIT, 20)
    assert not is_news(EXIT, 10)
