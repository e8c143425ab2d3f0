from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from collectors.hostfs import HostFS
from collectors.kernel.disk_walk import DiskWalk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOP = "data/layers/x/diff"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("proc", "sys", TOP):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def walker(tree: Path, sleep: Callable[[float], object]) -> DiskWalk:
    host = HostFS(str(tree / "proc"), str(tree / "sys"), str(tree))
    return DiskWalk(host, 1000, sleep=sleep)


def test_a_walk_sums_up_blocks_and_counts_links_once(tree: Path) -> None:
    top = tree / TOP
    (top / "a/b").mkdir(parents=True)
    (top / "file").write_bytes(b"x" * 100_000)
    (top / "a/b/other").write_bytes(b"x" * 50_000)
    os.link(top / "file", top / "a/again")
    (top / "out").symlink_to("/")
    expected = sum(
        os.lstat(top / name).st_blocks * 512 for name in ("file", "a", "a/b", "a/b/other", "out")
    )
    pauses: list[float] = []
    walk = walker(tree, pauses.append)
    walk._wanted = {"x": f"/{TOP}"}
    walk.walk("x", f"/{TOP}")
    assert walk.sizes() == {"x": expected}
    assert pauses == []


def test_a_walk_keeps_to_its_budget(tree: Path) -> None:
    top = tree / TOP
    for n in range(450):
        (top / str(n)).write_bytes(b"")
    pauses: list[float] = []
    walk = walker(tree, pauses.append)
    walk._wanted = {"x": f"/{TOP}"}
    walk.walk("x", f"/{TOP}")
    assert sum(pauses) == pytest.approx(0.4)


def test_what_is_not_wanted_any_more_is_forgotten(tree: Path) -> None:
    walked = threading.Event()
    walk = walker(tree, lambda _: walked.set())
    walk.want({"x": f"/{TOP}", "gone": "/data/none"})
    assert walked.wait(60)
    assert set(walk.sizes()) == {"x"}
    walk.want({})
    assert walk.sizes() == {}
    walk.close()
