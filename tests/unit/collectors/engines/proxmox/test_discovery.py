from __future__ import annotations

from pathlib import Path

from collectors.engines.proxmox.discovery import find_settings
from tests.support.processes import HOST
from tests.support.system_host import context

NODES = {
    "root/etc/pve/nodes/host/lxc/100.conf": "hostname: mine\n",
    "root/etc/pve/nodes/host/lxc/notes.txt": "hostname: none\n",
    "root/etc/pve/nodes/host/lxc/1 2.conf": "hostname: none\n",
    "root/etc/pve/nodes/other/lxc/200.conf": "hostname: elsewhere\n",
}


def test_only_the_containers_of_this_node_are_found(tmp_path: Path) -> None:
    files = NODES | {"root/etc/pve/lxc": "->nodes/host/lxc"}
    assert find_settings(context(tmp_path, HOST, [], files)) == {"100": "etc/pve/lxc/100.conf"}


def test_without_the_link_the_node_has_the_name_of_the_host(tmp_path: Path) -> None:
    paths = find_settings(context(tmp_path, HOST, [], NODES))
    assert paths == {"100": "etc/pve/nodes/host/lxc/100.conf"}


def test_without_proxmox_there_is_nothing(tmp_path: Path) -> None:
    assert find_settings(context(tmp_path, HOST, [])) == {}
