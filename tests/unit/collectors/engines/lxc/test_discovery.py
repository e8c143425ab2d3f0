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
    lxcpaths = find_lxcpaths(ctx, ["/home/joe/lxc", "/opt/lxc"])
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
    configured = find_lxcpaths(context(tmp_path, HOST, [monitor, init], files), ())[0]
    assert configured.path == "/srv/lxc"
    assert configured.monitors.keys() == {"web"}
    assert configured.seen_by is None


def test_monitors_of_other_engines_show_no_lxcpath(tmp_path: Path) -> None:
    argv = ("[lxc monitor] /var/lib/incus/containers web",)
    monitor = process(10, exe="/usr/bin/incusd", argv=argv)
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1)
    (default,) = find_lxcpaths(context(tmp_path, HOST, [monitor, init]), ())
    assert (default.path, default.monitors) == ("/var/lib/lxc", {})
