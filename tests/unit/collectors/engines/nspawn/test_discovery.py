from __future__ import annotations

from pathlib import Path

from collectors.engines.nspawn.discovery import Image, find_images, find_supervisors
from tests.support.processes import HOST, process
from tests.support.system_host import context


def test_a_supervisor_is_the_process_outside(tmp_path: Path) -> None:
    outside = process(10, exe="/usr/bin/systemd-nspawn")
    stub = process(11, 10, exe="/usr/bin/systemd-nspawn", ns={"mnt": 20, "pid": 21}, root=1)
    payload = process(12, 11, ns={"mnt": 20, "pid": 21}, root=1, ns_pids=(12, 2))
    setting_up = process(13, exe="/usr/bin/systemd-nspawn")
    ctx = context(tmp_path, HOST, [outside, stub, payload, setting_up])
    assert [(s.process, s.init) for s in find_supervisors(ctx)] == [(outside, stub)]


def test_the_image_of_a_machine_is_the_first_in_the_order_of_search(tmp_path: Path) -> None:
    files = {
        "root/etc/systemd/nspawn/web.nspawn": "",
        "root/etc/systemd/nspawn/no-image.nspawn": "",
        "root/var/lib/machines/web/usr/x": "",
        "root/usr/local/lib/machines/web/usr/x": "",
        "root/etc/systemd/system/systemd-nspawn@disk.service": "",
        "root/etc/machines/disk.raw": "",
        "root/var/lib/machines/only-a-tree/usr/x": "",
    }
    root = context(tmp_path, HOST, [], files).host.root
    web = Image(machine="web", path="/var/lib/machines/web", is_tree=True)
    disk = Image(machine="disk", path="/etc/machines/disk", is_tree=False)
    assert list(find_images(root, running=set())) == [disk, web]
    assert list(find_images(root, running={"web"})) == [disk]


def test_a_tree_in_which_a_system_has_booted_is_a_machine(tmp_path: Path) -> None:
    files = {
        "root/var/lib/machines/pulled/etc/os-release": "ID=fedora\n",
        "root/var/lib/machines/ran/var/.updated": "TIMESTAMP_NSEC=1\n",
        "root/var/lib/machines/runs/etc/.updated": "",
        "root/var/lib/machines/.tar-https:x/etc/.updated": "",
        "root/var/lib/machines/linked/x": "",
        "root/var/lib/machines/linked/etc": "->/somewhere",
        "root/somewhere/.updated": "",
        "root/etc/machines/other/etc/.updated": "",
    }
    root = context(tmp_path, HOST, [], files).host.root
    ran = Image(machine="ran", path="/var/lib/machines/ran", is_tree=True)
    assert list(find_images(root, running={"runs"})) == [ran]


def test_the_containers_of_nixos(tmp_path: Path) -> None:
    settings = "SYSTEM_PATH=/nix/store/x-nixos-system-web\nPRIVATE_NETWORK=1\nAUTO_START=1\n"
    files = {
        "root/etc/nixos-containers/web.conf": "->/etc/static/nixos-containers/web.conf",
        "root/etc/static/nixos-containers/web.conf": settings,
        "root/var/lib/nixos-containers/web/etc/x": "",
        "root/etc/nixos-containers/new.conf": settings,
        "root/etc/nixos-containers/runs.conf": settings,
        "root/etc/nixos-containers/notes.conf": "nothing\n",
        "root/etc/containers/registries.conf": "[registries]\n",
        "root/etc/containers/storage.conf": "[storage]\n",
        "root/var/lib/containers/storage/x": "",
        "root/etc/containers/old.conf": "PRIVATE_NETWORK=\n",
        "root/var/lib/containers/old/etc/x": "",
    }
    root = context(tmp_path, HOST, [], files).host.root
    found = {i.machine: (i.path, i.unit, i.has_run) for i in find_images(root, running={"runs"})}
    assert found == {
        "web": ("/var/lib/nixos-containers/web", "container@web.service", True),
        "new": ("/var/lib/nixos-containers/new", "container@new.service", False),
        "old": ("/var/lib/containers/old", "container@old.service", True),
    }
