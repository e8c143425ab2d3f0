"""Processes that execute another program in place."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.hostfs import HostFS
from collectors.kernel.process_execs import WITHIN, ProcessExecs
from collectors.kernel.processes import ProcessReader
from tests.support.processes import process, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.facts import Process


class Turns:
    """Processes in a tree, each of which runs /bin/one until a test says otherwise."""

    def __init__(self, place: Path, *processes: Process, step: float = 0.0) -> None:
        self.proc = place / "proc"
        self.table = table(*processes)
        self.pids = [one.pid for one in processes]
        for one in processes:
            (self.proc / str(one.pid)).mkdir(parents=True)
            for name in ("status", "cgroup", "cmdline"):
                (self.proc / str(one.pid) / name).touch()
            self.run(one.pid, one.exe or "")
        host = HostFS(str(self.proc), str(place), str(place))
        self.reader = ProcessReader(host)
        self.reader.read()
        clock: Iterator[float] = itertools.count(0.0, step)
        self.execs = ProcessExecs(host, self.reader.mark, lambda: next(clock))

    def run(self, pid: int, exe: str, address: int = 4096) -> None:
        """Have a process run a program whose memory lies at an address."""
        link = self.proc / str(pid) / "exe"
        link.unlink(missing_ok=True)
        link.symlink_to(exe)
        fields = ["S", "1", *["0"] * 17, str(100 + pid), *["0"] * 3, *[str(address)] * 3]
        fields += ["0"] * 19 + [str(address)] * 4 + ["0"]
        (self.proc / str(pid) / "stat").write_text(f"{pid} (one) {' '.join(fields)}\n")

    def look(self, now: float) -> list[int]:
        return sorted(self.execs.changed(self.table, self.pids, now))


def one(pid: int, **more: object) -> Process:
    return process(pid, **{"exe": "/bin/one", "argv": ("one",), **more})  # type: ignore[arg-type]


def test_another_binary_is_seen(tmp_path: Path) -> None:
    turns = Turns(tmp_path, one(10), one(11))
    assert turns.look(0) == []
    turns.run(11, "/container/root/bin/other")
    assert turns.look(WITHIN) == [11]


def test_the_path_of_its_root_is_no_other_binary(tmp_path: Path) -> None:
    turns = Turns(tmp_path, one(10))
    turns.run(10, "/container/root/bin/one")
    assert turns.look(0) == []


@pytest.mark.parametrize("argv", [("sh",), ("one", "/script"), ("one", "--flag", "/script"), ()])
def test_one_binary_that_is_many_programs_is_seen_by_its_memory(
    tmp_path: Path, argv: tuple[str, ...]
) -> None:
    turns = Turns(tmp_path, one(10, argv=argv))
    assert turns.look(0) == []
    turns.run(10, "/bin/one", 8192)
    assert turns.look(WITHIN) == [10]


def test_all_have_their_turn_in_time(tmp_path: Path) -> None:
    turns = Turns(tmp_path, *(one(pid) for pid in range(10, 40)))
    turns.look(0)
    for pid in turns.pids:
        turns.run(pid, "/bin/other")
    looks = [turns.look(4.0 * turn) for turn in (1, 2)]
    assert {len(look) for look in looks} == {15}
    assert {pid for look in looks for pid in look} == set(turns.pids)


def test_it_takes_no_more_than_its_share(tmp_path: Path) -> None:
    turns = Turns(tmp_path, *(one(pid) for pid in range(10, 40)), step=0.001)
    turns.look(0)
    for pid in turns.pids:
        turns.run(pid, "/bin/other")
    looks = [turns.look(4.0 * turn) for turn in range(1, 90)]
    assert max(map(len, looks)) <= 4
    assert {pid for look in looks for pid in look} == set(turns.pids)


def test_what_has_ended_or_is_a_zombie_runs_nothing_else(tmp_path: Path) -> None:
    turns = Turns(tmp_path, one(10), one(11, state="Z"))
    (turns.proc / "10/exe").unlink()
    turns.run(11, "/bin/other")
    assert turns.look(0) == []


def test_where_the_binary_is_hidden_the_name_and_memory_tell(tmp_path: Path) -> None:
    turns = Turns(tmp_path, one(10, exe="/bin/one"))
    turns.table = table(replace(turns.table.by_pid[10], exe=None))
    assert turns.look(0) == []
    turns.run(10, "/bin/one", 8192)
    assert turns.look(WITHIN) == [10]


@pytest.mark.parametrize("after", ["sleep 99", "sh -c 'sleep 99; true'"])
def test_on_this_kernel(after: str) -> None:
    """A shell that waits, then executes another program: one of another binary, or its own."""
    with subprocess.Popen(
        ["/bin/sh", "-c", f"echo; read x; exec {after}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        try:
            # Popen returns while the kernel still sets the program up: a line tells that it runs.
            assert child.stdout
            assert child.stdout.readline()
            host = HostFS()
            reader = ProcessReader(host)
            found = reader.read()
            execs = ProcessExecs(host, reader.mark)
            assert execs.changed(found, [child.pid], 0.0) == []
            assert child.stdin
            os.write(child.stdin.fileno(), b"\n")
            deadline = time.monotonic() + 30
            looks = itertools.count(1)
            while not execs.changed(found, [child.pid], next(looks) * WITHIN):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            child.kill()
