from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from collectors.engines.shared.first_process import (
    boots,
    first_inside,
    is_first_of,
    may_own,
    recorded_process,
)
from collectors.facts import Namespaces
from tests.support.engine_host import FACTS, EngineHost, contained
from tests.support.processes import HOST, process
from tests.support.system_host import context

ID = "5ad0c2f4d5a4e1c0b9f1d8e7c6b5a49382716051423324150697887766554433"


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


def test_a_first_process_is_known_by_its_cgroup_or_its_parent(host: EngineHost) -> None:
    shim = process(5, argv=("containerd-shim-runc-v2", "-id", ID))
    by_cgroup = contained(7, f"/x/docker-{ID}.scope")
    by_parent = contained(8, "/elsewhere", ppid=5)
    stranger = contained(9, "/elsewhere")
    context = host.context(shim, by_cgroup, by_parent, stranger)
    assert is_first_of(context, by_cgroup, ID)
    assert is_first_of(context, by_parent, ID)
    assert not is_first_of(context, stranger, ID)


def test_a_number_that_was_used_again_is_younger_than_the_file_that_names_it(
    host: EngineHost,
) -> None:
    found = contained(9, "/elsewhere")
    context = host.context(found)
    started = FACTS.boot_time + found.id.start_ticks / 100
    assert is_first_of(context, found, ID, started + 1)
    assert not is_first_of(context, found, ID, started - 10)


def test_without_the_boot_time_the_age_of_a_process_proves_nothing(tmp_path: Path) -> None:
    unknown = EngineHost(tmp_path, dataclasses.replace(FACTS, boot_time=0.0))
    running = contained(9, "/elsewhere")
    assert not is_first_of(unknown.context(running), running, ID, 2_000_000_000.0)


def test_a_start_time_beside_the_number_decides(host: EngineHost) -> None:
    running = contained(9, "/elsewhere")
    ctx = host.context(running)
    numbers = ctx.processes.by_pid
    ticks = running.id.start_ticks
    assert recorded_process(ctx, numbers, 9, ID, start_ticks=ticks) == running
    assert recorded_process(ctx, numbers, 9, ID, start_ticks=ticks + 1) is None
    assert recorded_process(ctx, numbers, None, ID) is None


def test_a_users_engine_owns_its_own_processes_only(host: EngineHost) -> None:
    roots = contained(9, f"/docker/{ID}")
    ctx = host.context(roots)
    assert recorded_process(ctx, ctx.processes.by_pid, 9, ID, owner=0) == roots
    assert recorded_process(ctx, ctx.processes.by_pid, 9, ID, owner=1000) is None
    mapped = dataclasses.replace(roots, namespaces=Namespaces(user=99))
    assert may_own(ctx, 1000, mapped)


def test_first_inside_goes_through_helpers(tmp_path: Path) -> None:
    outside = process(10)
    helper = process(11, 10)
    setting_up = process(12, 11, ns={"mnt": 20})
    init = process(13, 12, ns={"mnt": 20, "pid": 21}, root=1)
    ctx = context(tmp_path, HOST, [outside, helper, setting_up, init])
    children = ctx.processes.children()
    assert first_inside(outside, ctx, children) == setting_up
    assert first_inside(outside, ctx, children, own_pids=True) == init
    assert first_inside(init, ctx, children) is None


def test_without_namespaces_the_pids_tell(tmp_path: Path) -> None:
    outside = process(10, namespaces=Namespaces())
    beside = process(11, 10, namespaces=Namespaces())
    init = process(12, 10, namespaces=Namespaces(), ns_pids=(12, 1))
    ctx = context(tmp_path, HOST, [outside, beside, init])
    assert first_inside(outside, ctx, ctx.processes.children()) == init


def test_one_that_started_after_the_table_was_read_is_read_now(host: EngineHost) -> None:
    fields = " ".join(["S", "1", "77", "77", "0", "-1", "0", *["0"] * 12, "4711", "0"])
    host.write("proc:77/stat", f"77 (sleep) {fields}")
    host.write("proc:77/cgroup", "0::/lab/x1")
    host.write("proc:77/status", "Uid:\t0\t0\t0\t0\nNSpid:\t77\t1\n")
    ctx = host.context()
    newborn = recorded_process(ctx, ctx.processes.by_pid, 77, "x1")
    assert newborn is not None
    assert newborn.id == (77, 4711)
    assert recorded_process(ctx, ctx.processes.by_pid, 78, "x1") is None
    assert recorded_process(ctx, {}, 77, "x1") is None


@pytest.mark.parametrize(
    ("command", "exe", "argv", "booted"),
    [
        ("/usr/sbin/nginx", "/usr/sbin/nginx", "nginx", False),
        ("/sbin/init", None, "", True),
        ("/start.sh", "/usr/bin/dash", "sh /start.sh", False),
        # A script that prepared something and then became an init.
        ("/start.sh", "/usr/lib/systemd/systemd", "/sbin/init", True),
        ("/nix/store/b-container-init", "/nix/store/c-systemd/lib/systemd/systemd", "init", True),
        ("/start.sh", "/bin/busybox", "init", True),
        ("/start.sh", "/bin/busybox", "/bin/busybox init", True),
        ("/start.sh", "/bin/busybox", "/bin/sh /start.sh", False),
        # An /init may be anything: s6-overlay's is no service manager.
        ("/init", "/package/admin/s6/command/s6-svscan", "s6-svscan -d4 -- /run/service", False),
        ("/init", "/usr/lib/systemd/systemd", "/init", True),
        ("/init", "/init", "/init", False),
        ("/init", None, "", None),
    ],
)
def test_what_boots_is_told_by_the_command_and_by_what_became_of_it(
    command: str, exe: str | None, argv: str, booted: bool | None
) -> None:
    first = process(7, exe=exe, argv=tuple(argv.split()))
    assert boots((command,), first) is booted


def test_what_does_not_run_is_told_by_its_command() -> None:
    assert boots(("/sbin/init",), None) is True
    assert boots(("/usr/sbin/nginx",), None) is False
    assert boots(("/init",), None) is None
