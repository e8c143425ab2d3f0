from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.hostfs import HostFS
from collectors.kernel.process_moves import SHARE, ProcessMoves
from tests.support.processes import HOST, process, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.facts import HostFacts, Process

HOST_MNT = HOST.namespaces.mnt


class Turns:
    """Processes in a tree, and looks at them of which each takes a thousandth of a second."""

    def __init__(self, place: Path, *processes: Process) -> None:
        (place / "root").mkdir()
        (place / "elsewhere").mkdir()
        self.proc = place / "proc"
        self.touched: list[int] = []
        for one in processes:
            (self.proc / f"{one.pid}/ns").mkdir(parents=True)
            self.point(one.pid, "ns/mnt", f"mnt:[{one.namespaces.mnt}]")
            self.point(one.pid, "root", str(place / "root"))
        host = HostFS(str(self.proc), str(place), str(place / "root"))
        root = host.root.file_id(".")
        self.facts: HostFacts = dataclasses.replace(HOST, root=root)
        self.table = table(*(dataclasses.replace(one, root=root) for one in processes))
        clock: Iterator[int] = itertools.count()
        self.moves = ProcessMoves(
            host, lambda one: self.touched.append(one.pid), lambda: next(clock) / 1000
        )

    def point(self, pid: int, name: str, target: str) -> None:
        link = self.proc / str(pid) / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    def look(self, now: float) -> list[int]:
        return sorted(self.moves.moved(self.table, self.facts, now))


def test_who_went_to_other_mounts_is_found(tmp_path: Path) -> None:
    turns = Turns(tmp_path, process(10), process(11))
    assert turns.look(1000) == []
    turns.point(11, "ns/mnt", "mnt:[4711]")
    assert turns.look(2000) == [11]
    assert turns.touched == []


def test_who_has_mounts_of_its_own_and_goes_to_another_root_is_found(tmp_path: Path) -> None:
    turns = Turns(tmp_path, process(10, ns={"mnt": 4711}))
    assert turns.look(1000) == []
    turns.point(10, "root", str(tmp_path / "elsewhere"))
    assert turns.look(2000) == [10]
    assert turns.touched == [10, 10]


def test_all_have_their_turn_however_many_they_are(tmp_path: Path) -> None:
    many = [process(pid) for pid in range(10, 40)]
    turns = Turns(tmp_path, *many)
    seconds = 2.5 / 1000 / SHARE  # enough for two of them
    turns.look(1000.0)  # five at most, though nobody looked for long
    for one in many:
        turns.point(one.pid, "ns/mnt", "mnt:[4711]")
    found = [turns.look(1000.0 + seconds * turn) for turn in range(1, 30)]
    assert max(map(len, found)) == 2
    assert {pid for pids in found for pid in pids} == {one.pid for one in many}


def test_who_is_gone_has_not_moved(tmp_path: Path) -> None:
    turns = Turns(tmp_path, process(10))
    (turns.proc / "10/ns/mnt").unlink()
    assert turns.look(1000) == []
