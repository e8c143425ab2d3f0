from __future__ import annotations

import select
from pathlib import Path

import pytest
from inotify_simple import Event, flags

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
    watcher.outdated = False
    return watcher


def is_outdated(watcher: CgroupWatcher) -> bool:
    """Return whether there was a change; the call that makes one has queued it when it returns."""
    assert watcher.fd is not None
    if select.select([watcher.fd], [], [], 0)[0]:
        watcher.drain()
    outdated, watcher.outdated = watcher.outdated, False
    return outdated


def test_a_new_cgroup_is_a_change(top: Path, watcher: CgroupWatcher) -> None:
    assert not is_outdated(watcher)
    (top / "sys/fs/cgroup/system.slice/docker-x.scope").mkdir()
    assert is_outdated(watcher)


def test_a_directory_in_a_folder_is_a_change_and_a_file_only_where_it_is_asked_for(
    top: Path, watcher: CgroupWatcher
) -> None:
    run = top / "root/run"
    watcher.watch_folder("/run")
    watcher.watch_folder("/run/runc", files=True)
    (run / "some.pid").write_text("1")
    assert not is_outdated(watcher)
    (run / "crun").mkdir()
    assert is_outdated(watcher)
    (run / "runc/state.db").write_text("1")
    assert is_outdated(watcher)
    (run / "runc/state.db").write_text("2")
    assert is_outdated(watcher)


def test_a_folder_that_comes_back_is_watched_again(top: Path, watcher: CgroupWatcher) -> None:
    folder = top / "root/run/runc"
    watcher.watch_folder("/run/runc")
    folder.rmdir()
    watcher.drain()
    watcher.watch_folder("/run/runc")  # not there: nothing happens
    folder.mkdir()
    watcher.watch_folder("/run/runc")
    (folder / "web").mkdir()
    assert is_outdated(watcher)


def test_a_cgroup_that_was_made_again_under_its_name_is_watched_again(
    top: Path, watcher: CgroupWatcher
) -> None:
    cgroup = top / "sys/fs/cgroup/system.slice"
    cgroup.rmdir()
    cgroup.mkdir()
    assert is_outdated(watcher)
    watcher.refresh(())
    is_outdated(watcher)
    (cgroup / "docker-x.scope").mkdir()
    assert is_outdated(watcher)


def test_after_an_overflow_all_is_watched_anew(
    top: Path, watcher: CgroupWatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher.watch_folder("/run/runc")
    inotify = watcher._inotify
    assert inotify is not None
    folder = top / "root/run/runc"
    folder.rmdir()
    inotify.read(timeout=0)  # the end of its watch is among what is lost
    folder.mkdir()
    overflow = [Event(-1, flags.Q_OVERFLOW, 0, "")]
    with monkeypatch.context() as full:
        full.setattr(inotify, "read", lambda timeout: overflow)  # noqa: ARG005
        watcher.drain()
    assert watcher.outdated
    watcher.refresh(())
    watcher.watch_folder("/run/runc")
    is_outdated(watcher)
    (folder / "web").mkdir()
    assert is_outdated(watcher)
    (top / "sys/fs/cgroup/system.slice/docker-x.scope").mkdir()
    assert is_outdated(watcher)


def test_watches_of_folders_that_come_and_go_do_not_pile_up(
    top: Path, watcher: CgroupWatcher
) -> None:
    for number in range(600):
        folder = top / f"root/run/{number}"
        folder.mkdir()
        watcher.watch_folder(f"/run/{number}")
        folder.rmdir()
        watcher.drain()
    assert len(watcher._folders) == 0
