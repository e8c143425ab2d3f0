"""The init that an engine itself runs is no program of the container."""

from __future__ import annotations

import pytest

from agent.classifier.scene import InitKind
from agent.classifier.scene_reader import read_scene
from tests.support.subjects import NGINX, REDIS, run, subject


@pytest.mark.parametrize(
    ("engine", "init"),
    [
        ("lxc", "/usr/bin/lxc-execute init"),
        ("lxc", "/usr/libexec/lxc/init.lxc /usr/libexec/lxc/init.lxc -- redis-server"),
        ("lxc", "/nix/store/x-lxc-6.0/sbin/init.lxc.static init"),
        ("incus", "/usr/libexec/incus/incusd init"),
        ("incus", "/opt/incus/bin/incusd /opt/incus/bin/incusd forkstart web /var/lib/incus"),
        ("lxd", "/snap/lxd/1/bin/lxd init"),
    ],
)
def test_an_init_of_liblxc_only_holds_what_was_told_to_run(engine: str, init: str) -> None:
    scene = read_scene(subject(run(init, REDIS), engine=engine, boots=False))
    assert scene.init_kind is InitKind.REAPER
    assert [p.name for group in scene.applications for p in group] == ["redis-server"]
    assert scene.services == 1


@pytest.mark.parametrize("engine", ["docker", "none", "nspawn"])
def test_the_daemon_of_another_engine_is_a_program(engine: str) -> None:
    scene = read_scene(subject(run("/usr/bin/incusd incusd --group incus", NGINX), engine=engine))
    assert scene.init_kind is InitKind.PROGRAM
