from __future__ import annotations

import select
from pathlib import Path

import pytest

from agent.scout.watcher import CgroupWatcher
from collectors.facts import CgroupLayout, CgroupMode
from collectors.hostfs import HostFS

LAYOUT = CgroupLayout(mode=CgroupMode.V2, hierarchies={"": "fs/cgroup"})


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for name in ("proc", "sys/fs/cgroup/system.slice", "root/run/runc"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def watcher(top: Path) -> CgroupWatcher:
    watcher = CgroupWatcher(HostFS(str(top / "proc"), str(top / "sys"), str(top / "root")), LAYOUT)
    watcher.open()
    watcher.refresh(())
    watcher.drain()
    return watcher


def has_news(watcher: CgroupWatcher) -> bool:
    """Return whether there is news: the kernel has queued it when the call that made it returns."""
    assert watcher.fd is not None
    return bool(select.select([watcher.fd], [], [], 0)[0]) and watcher.drain()


def test_a_new_cgroup_is_news(top: Path, watcher: CgroupWatcher) -> None:
    assert not has_news(watcher)
    (top / "sys/fs/cgroup/system.slice/docker-x.scope").mkdir()
    assert has_news(watcher)


def test_a_directory_in_a_folder_is_news_and_a_file_only_where_it_is_asked_for(
    top: Path, watcher: CgroupWatcher
) -> None:
    run = top / "root/run"
    watcher.watch_folder("/run")
    watcher.watch_folder("/run/runc", files=True)
    (run / "some.pid").write_text("1")
    assert not has_news(watcher)
    (run / "crun").mkdir()
    assert has_news(watcher)
    (run / "runc/state.db").write_text("1")
    assert has_news(watcher)
    (run / "runc/state.db").write_text("2")
    assert has_news(watcher)


def test_a_folder_that_comes_back_is_watched_again(top: Path, watcher: CgroupWatcher) -> None:
    folder = top / "root/run/runc"
    watcher.watch_folder("/run/runc")
    folder.rmdir()
    watcher.drain()
    watcher.watch_folder("/run/runc")  # not there: nothing happens
    folder.mkdir()
    watcher.watch_folder("/run/runc")
    (folder / "web").mkdir()
    assert has_news(watcher)
