"""Changed limits are seen by events: the files here are on a disk, which has the same events."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from agent.scout import limits as module
from agent.scout.limits import LimitReader
from collectors.facts import CgroupLayout, CgroupMode, HostFacts
from collectors.hostfs import HostFS

if TYPE_CHECKING:
    from pathlib import Path

FACTS = HostFacts(
    cgroups=CgroupLayout(
        mode=CgroupMode.HYBRID,
        hierarchies={name: f"fs/cgroup/{name}" for name in ("memory", "pids", "freezer")},
    )
)
LIMIT = "memory.limit_in_bytes"


class Tree:
    """A tree of cgroups, and a reader of the limits in it."""

    def __init__(self, root: Path) -> None:
        for name in ("proc", "sys"):
            (root / name).mkdir()
        self.top = root / "sys/fs/cgroup"
        self.reader = LimitReader(HostFS(str(root / "proc"), str(root / "sys"), str(root)))

    def write(self, path: str, value: int) -> None:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")

    def memory(self, cgroup: str, *, again: bool = False) -> int | None:
        paths = dict.fromkeys(FACTS.cgroups.hierarchies, cgroup)
        limits = self.reader.read(cgroup, paths, paths, FACTS, again=again)
        self.reader.end_pass()
        return limits.memory_bytes


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    for cgroup in ("a", "a/x", "a/y", "b"):
        tree.write(f"memory/{cgroup}/{LIMIT}", 100)
        tree.write(f"pids/{cgroup}/pids.max", 7)
        tree.write(f"freezer/{cgroup}/freezer.state", 0)
    tree.reader.open()
    return tree


def test_a_limit_is_read_again_when_it_was_written(tree: Tree) -> None:
    assert tree.memory("/a/x") == 100
    assert not tree.reader.drain()
    tree.write(f"memory/a/x/{LIMIT}", 50)
    assert tree.memory("/a/x") == 100  # nothing is read before the events are
    assert tree.reader.drain()
    assert tree.reader.outdated == {"/a/x"}
    assert tree.memory("/a/x") == 50
    assert not tree.reader.drain()


def test_a_limit_above_is_that_of_all_below(tree: Tree) -> None:
    for cgroup in ("/a/x", "/a/y", "/b"):
        tree.memory(cgroup)
    tree.write(f"memory/a/{LIMIT}", 50)
    tree.write("pids/b/pids.max", 8)
    tree.reader.drain()
    assert tree.reader.outdated == {"/a/x", "/a/y", "/b"}
    assert (tree.memory("/a/x"), tree.memory("/a/y"), tree.memory("/b")) == (50, 50, 100)


def test_a_limit_that_crun_writes_below_the_scope_is_read_again(tree: Tree) -> None:
    facts = HostFacts(
        cgroups=CgroupLayout(mode=CgroupMode.V2, hierarchies={"": "fs/cgroup/unified"})
    )
    tree.write("unified/x.scope/memory.swap.max", 400)
    tree.write("unified/x.scope/container/memory.swap.max", 200)

    def swap() -> int | None:
        own, first = {"": "/x.scope"}, {"": "/x.scope/container"}
        limits = tree.reader.read("x", own, first, facts, again=False)
        return limits.memory_swap_bytes

    assert swap() == 200
    tree.write("unified/x.scope/container/memory.swap.max", 100)
    assert tree.reader.drain()
    assert swap() == 100


def test_a_write_to_another_file_changes_no_limit(tree: Tree) -> None:
    tree.memory("/a/x")
    tree.write("memory/a/x/cgroup.procs", 1)
    assert not tree.reader.drain()


def test_a_cgroup_that_is_frozen_is_noticed_and_changes_no_limit(tree: Tree) -> None:
    tree.memory("/a/x")
    assert not tree.reader.take_freeze()
    for file in (
        "freezer/a/x/freezer.state",
        "freezer/a/freezer.state",
        "memory/a/x/cgroup.freeze",
    ):
        tree.write(file, 1)
        assert not tree.reader.drain()
        assert tree.reader.take_freeze()
        assert not tree.reader.take_freeze()
    tree.write("freezer/b/freezer.state", 1)
    tree.reader.drain()
    assert not tree.reader.take_freeze()


def test_a_cgroup_that_was_made_again_is_watched_again(tree: Tree) -> None:
    tree.memory("/b")
    for directory in (tree.top / name / "b" for name in FACTS.cgroups.hierarchies):
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
    tree.write(f"memory/b/{LIMIT}", 30)
    tree.write("pids/b/pids.max", 7)
    assert tree.memory("/b", again=True) == 30
    tree.reader.drain()
    tree.write(f"memory/b/{LIMIT}", 20)
    assert tree.reader.drain()
    assert tree.memory("/b") == 20


def test_one_that_moved_to_another_cgroup_is_read_there(tree: Tree) -> None:
    reader = tree.reader
    tree.write(f"memory/b/{LIMIT}", 60)
    assert reader.read("c", {"memory": "/a/x"}, {}, FACTS, again=False).memory_bytes == 100
    assert reader.read("c", {"memory": "/b"}, {}, FACTS, again=False).memory_bytes == 60
    tree.write(f"memory/a/x/{LIMIT}", 1)
    assert not reader.drain()


def test_those_that_are_gone_are_not_watched(tree: Tree) -> None:
    tree.memory("/a/x")
    tree.memory("/a/y")
    tree.write(f"memory/a/x/{LIMIT}", 50)
    tree.reader.drain()
    tree.reader.retain({"/a/y"})
    assert not tree.reader.outdated
    tree.write(f"memory/a/x/{LIMIT}", 40)
    assert not tree.reader.drain()
    tree.write(f"memory/a/{LIMIT}", 40)
    assert tree.reader.drain()
    assert tree.reader.outdated == {"/a/y"}


def test_without_events_limits_are_read_each_time(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no more watches")

    monkeypatch.setattr("inotify_simple.INotify.add_watch", no_more)
    assert tree.memory("/b") == 100
    tree.write(f"memory/b/{LIMIT}", 50)
    assert tree.memory("/b") == 50


def test_a_queue_that_overflowed_makes_all_outdated(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inotify_simple import Event, flags  # noqa: PLC0415

    tree.memory("/a/x")
    tree.memory("/b")
    lost = [Event(-1, flags.Q_OVERFLOW, 0, "")]
    monkeypatch.setattr("inotify_simple.INotify.read", lambda *_, **__: lost)
    assert tree.reader.drain()
    assert tree.reader.outdated == {"/a/x", "/b"}


def test_what_was_not_changed_is_not_read_again(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.memory("/b")
    monkeypatch.setattr(module, "read_limits", None)
    assert tree.memory("/b") == 100
