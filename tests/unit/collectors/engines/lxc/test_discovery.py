from __future__ import annotations

from pathlib import Path

from collectors.contract import Options
from collectors.engines.lxc.discovery import find_lxcpaths
from tests.support.processes import HOST, process
from tests.support.system_host import context


def test_lxcpaths_come_from_the_default_the_configuration_and_memory(tmp_path: Path) -> None:
    files = {"root/etc/lxc/lxc.conf": "lxc.lxcpath = /srv/containers/\n"}
    options = Options(lxc_paths=("/opt/lxc",))
    ctx = context(tmp_path, HOST, [], files, options=options)
    lxcpaths = find_lxcpaths(ctx, {"/home/joe/lxc": 1000, "/opt/lxc": 0})
    assert [p.instance for p in lxcpaths] == [
        "/srv/containers",
        "/var/lib/lxc",
        "/opt/lxc",
        "/home/joe/lxc",
    ]
    assert not any(p.monitors or p.seen_by for p in lxcpaths)


def test_a_monitor_without_a_path_is_in_the_configured_one(tmp_path: Path) -> None:
    monitor = process(10, exe="/usr/bin/lxc-start", argv=("lxc-start", "-F", "-n", "web"))
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1)
    files = {"root/etc/lxc/lxc.conf": "lxc.lxcpath = /srv/lxc\n"}
    configured = find_lxcpaths(context(tmp_path, HOST, [monitor, init], files), {})[0]
    assert configured.path == "/srv/lxc"
    assert configured.monitors.keys() == {"web"}
    assert configured.seen_by is None


def test_monitors_of_other_engines_show_no_lxcpath(tmp_path: Path) -> None:
    argv = ("[lxc monitor] /var/lib/incus/containers web",)
    monitor = process(10, exe="/usr/bin/incusd", argv=argv)
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1)
    (default,) = find_lxcpaths(context(tmp_path, HOST, [monitor, init]), {})
    assert (default.path, default.monitors) == ("/var/lib/lxc", {})


def test_a_users_monitor_is_never_in_a_lxcpath_of_roots(tmp_path: Path) -> None:
    """Though it began first, and calls itself what root's container is called."""
    monitors = [
        process(pid, exe="/usr/bin/lxc-start", uid=uid, argv=("[lxc monitor] /var/lib/lxc web",))
        for pid, uid in ((10, 1000), (20, 0))
    ]
    inits = [process(p.pid + 1, p.pid, ns={"mnt": p.pid, "pid": p.pid}, root=1) for p in monitors]
    roots, users = find_lxcpaths(context(tmp_path, HOST, [*monitors, *inits]), {})
    assert (roots.instance, roots.owner) == ("/var/lib/lxc", "")
    assert roots.monitors["web"].process.pid == 20
    assert (users.instance, users.owner) == ("1000:/var/lib/lxc", "user 1000")
    assert users.monitors["web"].process.pid == 10
