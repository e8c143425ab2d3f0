from __future__ import annotations

from pathlib import Path

import pytest

from collectors.engines.runc.discovery import RUNTIMES, RootFinder, StateRoot, opened
from tests.support.engine_host import EngineHost, contained
from tests.support.processes import process


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


def test_every_runtime_has_a_directory_of_roots_and_of_each_user(host: EngineHost) -> None:
    host.at("/run/user/1000").mkdir(parents=True)
    roots = RootFinder().find(host.context())
    assert roots == [
        *(StateRoot(f"/run/{runtime}") for runtime in RUNTIMES),
        *(StateRoot(f"/run/user/1000/{runtime}", 1000) for runtime in RUNTIMES),
    ]


def test_containerds_directories_have_a_level_of_namespaces(host: EngineHost) -> None:
    host.at("/run/containerd/runc/k8s.io").mkdir(parents=True)
    assert StateRoot("/run/containerd/runc/k8s.io") in RootFinder().find(host.context())


def test_a_root_that_a_runtime_was_given_is_remembered_until_it_is_forgotten(
    host: EngineHost,
) -> None:
    finder = RootFinder()
    runc = process(5, exe="/usr/bin/runc", argv=("runc", "--root", "own", "run", "x"), uid=1000)
    host.link("proc:5/cwd", "/srv")
    named = StateRoot("/srv/own", 1000)
    assert named in finder.find(host.context(runc))
    assert named in finder.find(host.context())
    finder.forget(named)
    assert named not in finder.find(host.context())


def test_a_runtime_or_monitor_in_a_container_names_no_directory_of_the_host(
    host: EngineHost,
) -> None:
    usual = RootFinder().find(host.context())
    runc = contained(5, "/c", exe="/usr/bin/runc", argv=("runc", "--root", "/srv/own"))
    conmon = contained(
        6, "/c", exe="/usr/bin/conmon", argv=("conmon", "--runtime-arg", "--root=/srv/own")
    )
    assert RootFinder().find(host.context(runc, conmon)) == usual


def test_a_directory_is_opened_for_its_owner_only(host: EngineHost) -> None:
    owner = host.at("/run/runc")
    owner.mkdir(parents=True)
    uid = owner.stat().st_uid
    ctx = host.context()
    for expected, is_open in ((0, True), (uid, True), (uid + 1, False)):
        with opened(ctx, StateRoot("/run/runc", expected)) as directory:
            assert (directory is not None) == is_open
    with opened(ctx, StateRoot("/nowhere")) as directory:
        assert directory is None


def test_a_user_who_names_many_directories_displaces_only_his_own(host: EngineHost) -> None:
    finder = RootFinder()
    first = StateRoot("/srv/of-root")
    finder.learn(first)
    for number in range(300):
        finder.learn(StateRoot(f"/tmp/{number}", 1000))
    learned = [root for root in finder.find(host.context()) if root.path.startswith("/tmp/")]
    assert first in finder.find(host.context())
    assert learned[-1] == StateRoot("/tmp/299", 1000)
    assert len(learned) == 100
