"""What goes away or cannot be opened while a collector reads costs that piece, not the others."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.engines.incus.collector import IncusCollector
from collectors.engines.libvirt_lxc.collector import LibvirtLxcCollector
from collectors.engines.lxc.collector import LxcCollector
from collectors.engines.nspawn.collector import NspawnCollector
from collectors.engines.proxmox.collector import ProxmoxCollector
from collectors.engines.sandboxes.collector import SandboxCollector
from collectors.facts import ALIVE
from collectors.hostfs import Dir
from tests.support.system_host import captured, context, fixture

if TYPE_CHECKING:
    from collectors.contract import Collector

FILES: dict[str, str | bytes] = {
    "root/srv/lxc/priv/config": fixture("lxc-busybox.config"),
    "root/var/lib/lxc/off/config": fixture("lxc-busybox.config"),
    "root/etc/lxc/lxc.conf": "lxc.lxcpath = /var/lib/lxc\n",
    "root/etc/pve/lxc/101.conf": fixture("proxmox-101.conf"),
    "root/run/systemd/machines/my-box": fixture("machines/my-box"),
    "root/etc/systemd/nspawn/idle.nspawn": "[Exec]\nBoot=no\n",
    "root/var/lib/machines/idle/usr/x": "",
    "root/var/lib/lxd/containers/one": "->../pool/one",
    "root/var/lib/lxd/pool/one/backup.yaml": fixture("lxd-backup.yaml"),
    "root/run/libvirt/lxc/virt one.xml": fixture("libvirt-status.xml"),
    "root/etc/libvirt/lxc/off.xml": fixture("libvirt-domain.xml"),
    "proc/23077/mountinfo": fixture("charliecloud.mountinfo"),
    "proc/7037/mountinfo": fixture("flatpak.mountinfo"),
    "proc/7037/root/.flatpak-info": fixture("flatpak-info"),
}


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EACCES, errno.EIO])
@pytest.mark.parametrize(
    ("capture", "collector"),
    [
        ("lxc.json", LxcCollector),
        ("guest-v2.json", ProxmoxCollector),
        ("guest-v2.json", NspawnCollector),
        ("lxd.json", IncusCollector),
        ("libvirt.json", LibvirtLxcCollector),
        ("sandboxes.json", SandboxCollector),
    ],
)
def test_each_open_may_fail(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capture: str,
    collector: Callable[[], Collector],
    code: int,
) -> None:
    facts, processes = captured(capture)
    ctx = context(tmp_path, facts, processes, FILES)
    really_open = Dir._open
    opened = 0
    fail_at = -1

    def counting_open(self: Dir, relative: str, flags: int) -> int:
        nonlocal opened
        opened += 1
        if opened == fail_at:
            raise OSError(code, os.strerror(code), relative)
        return really_open(self, relative, flags)

    monkeypatch.setattr(Dir, "_open", counting_open)
    monkeypatch.setattr("collectors.engines.incus.collector.list_instances", lambda *_: [])
    whole = {s.engine_id: s for s in collector().collect(ctx)}
    needs_mounts = {"charliecloud", "snap", "apptainer"}
    running = {s.init for s in whole.values() if s.state in ALIVE and s.engine not in needs_mounts}
    assert whole
    for fail_at in range(1, opened + 1):  # noqa: B007 - read by counting_open
        opened = 0
        found = {s.init for s in collector().collect(ctx)}
        if collector is not ProxmoxCollector:  # it knows nobody without its files
            assert running <= found
