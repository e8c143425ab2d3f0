from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.engines.podman.discovery import monitors_by_owner, root_store, stores_of
from tests.support.engine_host import EngineHost, contained
from tests.support.processes import process

if TYPE_CHECKING:
    from collectors.facts import Process


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    host = EngineHost(tmp_path)
    host.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\njoe:x:1000:1000::/home/joe:/bin/sh\n")
    return host


def conmon(pid: int, root: str, *, of_podman: bool = True, uid: int = 0) -> Process:
    arguments = ("--root", root, "--runroot", "/run/x", "--tmpdir", "/run/libpod")
    command = "/usr/bin/podman" if of_podman else "/usr/bin/crio"
    words = ["conmon", "--exit-command", command]
    for argument in arguments:
        words += ["--exit-command-arg", argument]
    return process(pid, exe="/usr/bin/conmon", argv=tuple(words), uid=uid)


def test_roots_store_is_in_its_usual_or_configured_place(host: EngineHost) -> None:
    assert root_store(host.context()).instance == "/var/lib/containers/storage"
    host.write("/etc/containers/storage.conf", '[storage]\ngraphroot = "/srv/store"\n')
    assert root_store(host.context()).instance == "/srv/store"


def test_monitors_tell_of_further_stores(host: EngineHost) -> None:
    monitors = [conmon(5, "/srv/a"), conmon(6, "/srv/a"), conmon(7, "/srv/b", of_podman=False)]
    context = host.context(*monitors)
    assert monitors_by_owner(context) == {"": monitors}
    (store,) = stores_of(context, monitors)
    assert (store.instance, store.runroot, store.monitor) == ("/srv/a", "/run/x", None)


def test_a_relative_path_is_no_store(host: EngineHost) -> None:
    assert stores_of(host.context(), [conmon(5, "srv/a")]) == []


def test_a_user_has_a_store_at_home_and_those_of_his_monitors(host: EngineHost) -> None:
    host.at("/run/user/1000").mkdir(parents=True)
    monitor = conmon(5, "/home/joe/other", uid=1000)
    context = host.context(monitor)
    assert monitors_by_owner(context) == {"user 1000": [monitor]}
    stores = stores_of(context, [monitor], 1000)
    assert {(s.instance, s.uid) for s in stores} == {
        ("/home/joe/.local/share/containers/storage", 1000),
        ("/home/joe/other", 1000),
    }


def test_a_user_without_a_home_has_none(host: EngineHost) -> None:
    assert stores_of(host.context(), [], 4711) == []


def test_a_podman_in_a_container_is_that_containers(host: EngineHost) -> None:
    argv = conmon(5, "/var/lib/containers/storage").argv
    inside = contained(5, "/docker/box", exe="/usr/bin/conmon", argv=argv)
    context = host.context(inside)
    assert monitors_by_owner(context) == {"/docker/box:": [inside]}
    (store,) = stores_of(context, [inside])
    assert store.instance == "/docker/box:/var/lib/containers/storage"
    assert store.monitor == inside


def test_a_user_of_ldap_has_his_store_where_his_processes_say(host: EngineHost) -> None:
    host.write("proc:9/environ", b"HOME=/elsewhere\0")
    host.write("proc:8/environ", b"LANG=C\0HOME=/net/ada\0")
    manager, later, anothers = (
        process(8, exe="/usr/lib/systemd/systemd", uid=70000),
        process(9, exe="/bin/sh", uid=70000),
        process(7, exe="/bin/sh", uid=70001),
    )
    (store,) = stores_of(host.context(later, manager, anothers), [], 70000)
    assert (store.instance, store.uid) == ("/net/ada/.local/share/containers/storage", 70000)
    assert stores_of(host.context(manager), [], 70002) == []
