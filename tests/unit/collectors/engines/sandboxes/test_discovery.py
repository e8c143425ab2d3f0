from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.engines.sandboxes.discovery import ancestors, find_candidates
from tests.support.processes import HOST, process
from tests.support.system_host import context

if TYPE_CHECKING:
    from collectors.facts import Process


def made(pid: int, ppid: int, **more: Any) -> Process:
    """A process in mounts and a root of its own."""
    return process(pid, ppid, **{"ns": {"mnt": 20, "pid": 21}, "root": 1, **more})


def candidates(tmp_path: Path, *processes: Process) -> list[Process]:
    return list(find_candidates(context(tmp_path, HOST, processes)))


def test_what_is_over_the_hosts_root_or_in_its_mounts_is_not_seen(tmp_path: Path) -> None:
    bwrap = process(10, exe="/usr/bin/bwrap")
    over_root = process(11, 10, ns={"mnt": 20, "pid": 21})
    chroot = process(12, 10, root=1)
    unknown = dataclasses.replace(made(13, 10), root=None)
    zombie = made(14, 10, state="Z")
    assert candidates(tmp_path, bwrap, over_root, chroot, unknown, zombie) == []


def test_the_candidate_is_the_first_process_in_its_mounts(tmp_path: Path) -> None:
    init = made(11, 10)
    child = made(12, 11, ns_pids=(12, 2))
    other = made(13, 10, ns={"mnt": 30, "pid": 31}, root=2)
    assert candidates(tmp_path, process(10), child, init, other) == [init, other]


def test_who_waits_in_another_container_for_what_it_made_is_not_its_init(tmp_path: Path) -> None:
    around = process(10, ns={"mnt": 30, "pid": 31}, root=1)
    attach = process(11, exe="/usr/bin/lxc-attach")
    mounts = {"mnt": 20, "pid": 31}
    maker = process(12, 11, exe="/usr/bin/unshare", ns=mounts, root=1, ns_pids=(12, 2))
    init = process(13, 12, ns={"mnt": 20, "pid": 21}, root=2, ns_pids=(13, 3, 1))
    assert candidates(tmp_path, around, attach, maker, init) == [around, init]


def test_the_first_process_of_one_of_two_on_the_same_root_does_not_wait(tmp_path: Path) -> None:
    """Its child changed its root directory, and is in the same container."""
    outside = process(10, exe="/usr/bin/bwrap")
    one = made(11, 10, exe="/usr/bin/bwrap")
    other = made(12, 10, exe="/usr/bin/bwrap", ns={"mnt": 30, "pid": 31})
    changed = made(13, 12, ns={"mnt": 30, "pid": 31}, root=2, ns_pids=(13, 2))
    assert candidates(tmp_path, outside, one, other, changed) == [one, other]


def test_a_shell_may_stand_between_the_maker_and_what_it_made(tmp_path: Path) -> None:
    terminal = process(9)
    unshare = process(10, 9, exe="/usr/bin/unshare", ns={"mnt": 20})
    shell = process(11, 10, exe="/usr/bin/dash", ns={"mnt": 20, "pid": 21})
    init = made(12, 11, ns_pids=(12, 2))
    ctx = context(tmp_path, HOST, [terminal, unshare, shell, init])
    assert list(find_candidates(ctx)) == [init]
    # The terminal is in other mounts; its own parent is not considered any more.
    assert ancestors(ctx, init) == [shell, unshare, terminal]
