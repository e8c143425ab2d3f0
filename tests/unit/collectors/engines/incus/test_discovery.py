from __future__ import annotations

from pathlib import Path

import pytest

from collectors.engines.incus.discovery import find_daemons
from collectors.engines.lxc.discovery import find_lxcpaths
from collectors.engines.shared.liblxc import DIRECTORIES
from tests.support.processes import HOST, inner, process
from tests.support.system_host import context


def test_a_daemon_works_where_its_environment_says(tmp_path: Path) -> None:
    daemon = process(5, exe="/usr/bin/incusd", argv=("incusd", "--verbose"))
    ctx = context(tmp_path, HOST, [daemon], {"proc/5/environ": b"A=b\0INCUS_DIR=/srv/incus/\0"})
    (only,) = find_daemons(ctx, {})
    assert (only.directory, only.engine, only.process) == ("/srv/incus", "incus", daemon)


def test_without_a_word_of_it_a_daemon_works_in_the_default_directory(tmp_path: Path) -> None:
    daemon = process(5, exe="/usr/sbin/lxd", argv=("lxd",))
    (only,) = find_daemons(context(tmp_path, HOST, [daemon]), {})
    assert (only.directory, only.engine) == ("/var/lib/lxd", "lxd")


def test_a_helper_or_another_users_program_is_no_daemon(tmp_path: Path) -> None:
    helper = process(6, exe="/usr/bin/incusd", argv=("incusd", "forkproxy", "x"))
    users = process(7, exe="/home/eve/incusd", argv=("incusd",), uid=1000)
    daemons = find_daemons(context(tmp_path, HOST, [helper, users]), DIRECTORIES)
    assert [d.directory for d in daemons if d.process is None] == list(DIRECTORIES)


def test_a_daemon_in_a_container_is_known_by_its_monitors(tmp_path: Path) -> None:
    outer = process(10, ns={"mnt": 20, "pid": 21}, root=1)
    title = ("[lxc monitor] /var/lib/incus/containers deep",)
    monitor = inner(outer, 11, 10, exe="/usr/bin/incusd", argv=title)
    init = process(12, 11, ns={"mnt": 30, "pid": 31}, root=2, ns_pids=(12, 5, 1))
    (only,) = find_daemons(context(tmp_path, HOST, [outer, monitor, init]), {})
    assert only.instance == "mnt:[20]:/var/lib/incus"
    assert (only.process, only.seen_by) == (None, monitor)
    assert only.monitors.keys() == {"deep"}


@pytest.mark.parametrize("comm", ["incusd", "liblxc"])
def test_without_privileges_its_monitors_are_still_its_own(tmp_path: Path, comm: str) -> None:
    """Root's binary cannot be read then: the comm tells, or the directory."""
    daemon = process(5, exe=None, comm="incusd", argv=("incusd", "--group", "incus-admin"))
    title = ("[lxc monitor] /var/lib/incus/containers web",)
    monitor = process(10, exe=None, comm=comm, argv=title)
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1, cgroup="/lxc.payload.web")
    ctx = context(tmp_path, HOST, [daemon, monitor, init])
    (only,) = find_daemons(ctx, {})
    assert (only.engine, only.process) == ("incus", daemon)
    assert only.monitors.keys() == {"web"}
    assert not any(path.monitors for path in find_lxcpaths(ctx, {}))


def test_a_users_monitor_is_of_no_daemon_of_roots(tmp_path: Path) -> None:
    title = ("[lxc monitor] /var/lib/incus/containers web",)
    monitor = process(10, exe="/home/eve/incusd", argv=title, uid=1000)
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1, uid=1000)
    assert find_daemons(context(tmp_path, HOST, [monitor, init]), {}) == []
