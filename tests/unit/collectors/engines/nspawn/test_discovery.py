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
