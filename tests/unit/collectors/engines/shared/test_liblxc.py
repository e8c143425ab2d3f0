from __future__ import annotations

from pathlib import Path
from typing import Any

from collectors.engines.shared.liblxc import find_monitors, payload_cgroup
from collectors.facts import Namespaces, ProcessId
from tests.support.processes import HOST, process
from tests.support.system_host import context

MONITOR = "[lxc monitor] /var/lib/lxc web"


def test_an_argv_alone_is_no_monitor(tmp_path: Path) -> None:
    liar = process(10, exe="/home/eve/evil", argv=(MONITOR,))
    service = process(11, 10, ns={"mnt": 20})
    plain = process(12, exe="/usr/bin/python3", argv=(MONITOR,))
    below = process(13, 12, cgroup="/lxc.payload.web")  # in the cgroup, but with the host's mounts
    attach = process(14, exe="/usr/bin/lxc-attach", argv=("lxc-attach", "-n", "web"))
    waiting = process(15, exe="/usr/bin/lxc-start", argv=("lxc-start", "-n", "web"))
    ctx = context(tmp_path, HOST, [liar, service, plain, below, attach, waiting])
    assert find_monitors(ctx) == []


def test_a_program_that_uses_the_library_is_known_by_the_cgroup(tmp_path: Path) -> None:
    monitor = process(10, exe="/usr/bin/python3.11", argv=(MONITOR,), cgroup="/lxc.monitor.web")
    init = process(
        11, 10, ns={"mnt": 20, "pid": 21}, root=1, cgroup="/lxc.payload.web-1/init.scope"
    )
    monitors = find_monitors(context(tmp_path, HOST, [monitor, init]))
    assert [m.init for m in monitors] == [init]
    assert payload_cgroup(init, monitor, "web") == "/lxc.payload.web-1"


def test_a_replaced_binary_is_still_lxc(tmp_path: Path) -> None:
    monitor = process(10, exe="/usr/bin/lxc-start (deleted)", argv=(MONITOR,))
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1, cgroup="/lxc/web")
    monitors = find_monitors(context(tmp_path, HOST, [monitor, init]))
    assert [m.init for m in monitors] == [init]
    assert payload_cgroup(init, monitor, "web") == "/lxc/web"


def test_without_permission_the_cgroup_and_the_pid_namespace_tell(tmp_path: Path) -> None:
    blind: dict[str, Any] = {"exe": None, "namespaces": Namespaces(), "root": None}
    monitor = process(10, argv=(MONITOR,), cgroup="/lxc.monitor.web", **blind)
    init = process(11, 10, cgroup="/lxc.payload.web", ns_pids=(11, 1), **blind)
    front = process(12, argv=("lxc-start", "-F", "-n", "front"), **blind)
    front_init = process(13, 12, cgroup="/lxc.payload.front", ns_pids=(13, 1), **blind)
    liar = process(14, argv=("lxc-start", "-F", "-n", "liar"), **blind)
    child = process(15, 14, ns_pids=(15, 1), **blind)
    processes = [monitor, init, front, front_init, liar, child]
    monitors = find_monitors(context(tmp_path, HOST, processes))
    assert [m.init for m in monitors] == [init, front_init]


def test_a_shared_cgroup_is_not_the_containers() -> None:
    where = "/user.slice/session-1.scope"
    monitor = process(10, exe="/usr/bin/lxc-start", argv=(MONITOR,), cgroup=where)
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1, cgroup=where)
    assert payload_cgroup(init, monitor, "web") is None


def test_the_init_is_the_one_with_a_pid_namespace(tmp_path: Path) -> None:
    monitor = process(10, exe="/usr/bin/lxc-start", argv=(MONITOR,))
    hook = process(11, 10, ns={"mnt": 19})
    init = process(12, 10, ns={"mnt": 20, "pid": 21}, root=1)
    dead = process(13, 10, ns={"mnt": 20, "pid": 22}, root=1, state="Z", id=ProcessId(13, 1))
    monitors = find_monitors(context(tmp_path, HOST, [monitor, hook, init, dead]))
    assert [m.init for m in monitors] == [init]


def test_the_configured_cgroup_is_the_one_with_the_limits() -> None:
    monitor = process(10, exe="/usr/bin/lxc-start", argv=(MONITOR,), cgroup="/lxc.monitor/101")
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1, cgroup="/tenant/101/ns/init.scope")
    assert payload_cgroup(init, monitor, "101", "tenant/101") == "/tenant/101"


def test_the_default_lxcpath_of_a_user_is_in_the_name_of_the_command_socket(
    tmp_path: Path,
) -> None:
    monitor = process(10, exe="/usr/bin/lxc-start", argv=("lxc-start", "-F", "-n", "web"))
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1)
    line = "0000: 00000002 00000000 00010000 0001 01 17253 @/home/joe/.lxc/web/command\n"
    files = {"proc/10/net/unix": line}
    (only,) = find_monitors(context(tmp_path, HOST, [monitor, init], files))
    assert only.lxcpath == "/home/joe/.lxc"
