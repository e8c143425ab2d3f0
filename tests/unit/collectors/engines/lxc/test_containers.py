from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.engines.lxc.containers import Containers, read_containers
from collectors.engines.lxc.discovery import Lxcpath, find_lxcpaths
from tests.support.as_root import AS_ROOT
from tests.support.processes import HOST, process
from tests.support.system_host import context

if TYPE_CHECKING:
    from collectors.contract import Context

DEFAULT = Lxcpath(path="/var/lib/lxc", instance="/var/lib/lxc")


def read(ctx: Context, lxcpath: Lxcpath) -> Containers:
    containers = Containers()
    for _ in read_containers(ctx, lxcpath, containers):
        pass
    return containers


@AS_ROOT
def test_a_directory_with_a_configuration_is_a_container(tmp_path: Path) -> None:
    files = {
        "root/var/lib/lxc/web/config": "lxc.uts.name = web\n",
        "root/var/lib/lxc/notes/config": "nothing of LXC\n",
        "root/var/lib/lxc/stray": "a file",
    }
    containers = read(context(tmp_path, HOST, [], files), DEFAULT)
    assert containers.configs.keys() == containers.created.keys() == {"web"}
    assert containers.owned_by_root


@AS_ROOT
def test_links_out_of_a_users_lxcpath_are_not_followed(tmp_path: Path) -> None:
    files = {
        "root/etc/secret": "lxc.uts.name = stolen\n",
        "root/var/lib/lxc/own/config": "lxc.uts.name = own\n",
        "root/var/lib/lxc/evil/config": "->/etc/secret",
    }
    ctx = context(tmp_path, HOST, [], files)
    os.chown(tmp_path / "root/var/lib/lxc", 1000, 1000)
    containers = read(ctx, DEFAULT)
    assert containers.configs.keys() == {"own"}
    assert not containers.owned_by_root


def test_the_file_that_a_container_was_started_with_is_read_where_it_has_no_other(
    tmp_path: Path,
) -> None:
    argv = ("lxc-start", "-F", "-n", "web", "-f", "/srv/web.conf", "-P", "/srv/lxc")
    monitor = process(10, exe="/usr/bin/lxc-start", argv=argv)
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1)
    files = {"root/srv/web.conf": "lxc.uts.name = web.example\n"}
    ctx = context(tmp_path, HOST, [monitor, init], files)
    lxcpath = next(p for p in find_lxcpaths(ctx, {}) if p.path == "/srv/lxc")
    containers = read(ctx, lxcpath)
    assert containers.configs["web"].hostname == "web.example"
    assert containers.created == {}


@AS_ROOT
def test_a_users_lxcpath_and_file_that_are_not_his_are_not_read(tmp_path: Path) -> None:
    """Whoever starts a program called lxc-start can name any path."""
    argv = ("lxc-start", "-n", "web", "-f", "/etc/secret.conf", "-P", "/root/lxc")
    monitor = process(10, exe="/home/joe/lxc-start", argv=argv, uid=1000)
    init = process(11, 10, ns={"mnt": 20, "pid": 21}, root=1, uid=1000)
    files = {
        "root/etc/secret.conf": "lxc.uts.name = secret\n",
        "root/root/lxc/db/config": "lxc.uts.name = db\n",
    }
    ctx = context(tmp_path, HOST, [monitor, init], files)
    lxcpath = next(p for p in find_lxcpaths(ctx, {}) if p.path == "/root/lxc")
    assert lxcpath.owner == "user 1000"
    assert not read(ctx, lxcpath).configs
