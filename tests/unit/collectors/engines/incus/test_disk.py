from __future__ import annotations

from pathlib import Path

from collectors.engines.incus.discovery import Daemon
from collectors.engines.incus.disk import list_names, read_backup
from tests.support.processes import HOST, process
from tests.support.system_host import context, fixture

DIRECTORY = "/var/lib/lxd"


def test_only_links_are_containers(tmp_path: Path) -> None:
    files = {
        "root/var/lib/lxd/containers/one": "->/pool/one",
        "root/var/lib/lxd/containers/lxc-monitord.log": "a file",
    }
    daemon = Daemon(directory=DIRECTORY, engine="lxd")
    assert list_names(context(tmp_path, HOST, [], files), daemon) == ["one"]


def test_a_storage_that_only_the_daemon_has_mounted_is_read_through_it(tmp_path: Path) -> None:
    files = {
        "root/var/lib/lxd/containers/one": "->../pool/one",
        "proc/5/root/var/lib/lxd/containers/one/backup.yaml": fixture("lxd-backup.yaml"),
    }
    ctx = context(tmp_path, HOST, [], files)
    stopped = Daemon(directory=DIRECTORY, engine="lxd")
    assert read_backup(ctx, stopped, "one") == (None, None)
    running = Daemon(directory=DIRECTORY, engine="lxd", seen_by=process(5))
    instance, made = read_backup(ctx, running, "one")
    assert instance is not None
    assert instance.image == "busybox/lab"
    assert made is not None
