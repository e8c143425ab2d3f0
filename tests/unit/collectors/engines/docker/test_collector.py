from __future__ import annotations

import dataclasses
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collectors.contract import CollectorError, Options, PartlySeen
from collectors.engines.docker import collector as docker_collector
from collectors.engines.docker import conversation as docker_conversation
from collectors.engines.docker import daemon as docker_engine
from collectors.engines.docker import events as docker_events
from collectors.engines.docker.api import Budget
from collectors.engines.docker.collector import DockerCollector
from collectors.facts import ProcessId, Sighting, State
from tests.support.engine_host import NOW, EngineHost, by_name, contained
from tests.support.fake_docker import DONE, IMAGE, NEW, WEB, FakeDocker, http
from tests.support.processes import process
from tests.unit.collectors.engines.docker.test_discovery import dockerd, listens
from tests.unit.collectors.engines.docker.test_disk import furnish

if TYPE_CHECKING:
    from collectors.facts import Process

SOCKET = "/run/docker.sock"
INSPECT_WEB = f"/containers/{WEB}/json"
INIT = contained(5046, f"/docker/{WEB}")
PATIENCE = 60.0
ALL = {"web": State.RUNNING, "done": State.EXITED, "new": State.CREATED}


class Clock:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(docker_engine, "monotonic", found)
    monkeypatch.setattr(docker_collector, "monotonic", found)
    monkeypatch.setattr(docker_conversation, "monotonic", found)
    return found


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    host = EngineHost(tmp_path)
    host.at("/run").mkdir()
    listens(host, 50, "/var/run/docker.sock")
    return host


@pytest.fixture
def daemon(host: EngineHost) -> Iterator[FakeDocker]:
    with FakeDocker(host.at(SOCKET)).run() as fake:
        yield fake


@pytest.fixture
def collector(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerCollector]:
    assert clock.now
    monkeypatch.setattr(docker_events, "_FIRST_PAUSE", 0.01)
    found = DockerCollector()
    yield found
    found.close()
    for thread in threading.enumerate():
        if thread.name.startswith("events "):
            thread.join(PATIENCE)
            assert not thread.is_alive()


def look(
    collector: DockerCollector, host: EngineHost, *processes: Process, **more: Any
) -> dict[str, Sighting]:
    return by_name(collector.collect(host.context(*processes, **more)))


def fails(collector: DockerCollector, host: EngineHost, *processes: Process, **more: Any) -> str:
    with pytest.raises(CollectorError) as found:
        collector.collect(host.context(*processes, **more))
    return str(found.value)


def partly(
    collector: DockerCollector, host: EngineHost, *processes: Process, **more: Any
) -> dict[str, Sighting]:
    with pytest.raises(PartlySeen) as found:
        collector.collect(host.context(*processes, **more))
    return by_name(found.value.sightings)


def states(found: dict[str, Sighting]) -> dict[str, State]:
    return {name: sighting.state for name, sighting in found.items()}


@pytest.mark.usefixtures("daemon")
def test_all_containers_of_a_daemon(collector: DockerCollector, host: EngineHost) -> None:
    found = look(collector, host, dockerd(), INIT)
    assert states(found) == ALL
    web = found["web"]
    assert web.instance == SOCKET
    assert web.init == INIT.id
    assert web.cgroup == f"/docker/{WEB}"
    assert web.health == "healthy"
    assert web.image_facts is not None
    assert web.image_facts.reference == "busybox:lab"
    assert web.image_facts.size_bytes == 1982380
    assert found["new"].cgroup == f"/custom/{NEW}"


def test_a_host_without_docker_is_not_asked(host: EngineHost, daemon: FakeDocker) -> None:
    # There is a socket, but systemd has it.
    assert look(DockerCollector(), host) == {}
    assert daemon.asked == []


def test_an_image_is_asked_for_once(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    look(collector, host, dockerd(), INIT)
    look(collector, host, dockerd(), INIT)
    assert daemon.count(f"/images/{IMAGE}/json") == 1


def test_an_image_that_is_gone_keeps_its_containers(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    del daemon.answers[f"/images/{IMAGE}/json"]
    found = look(collector, host, dockerd(), INIT)
    assert states(found) == ALL
    assert found["web"].image == "busybox:lab"


def test_only_what_is_new_or_changed_is_inspected_again(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    look(collector, host, dockerd(), INIT)
    entry = next(e for e in daemon.answers["/containers/json"] if e["Id"] == DONE)
    entry["Names"] = ["/renamed"]
    daemon.answers[f"/containers/{DONE}/json"]["Name"] = "/renamed"
    found = look(collector, host, dockerd(), INIT)
    assert set(found) == {"web", "renamed", "new"}
    assert daemon.count(f"/containers/{DONE}/json") == 2
    assert daemon.count(INSPECT_WEB) == daemon.count(f"/containers/{NEW}/json") == 1


def test_a_container_whose_process_was_replaced_is_inspected_again(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    look(collector, host, dockerd(), INIT)
    daemon.answers[INSPECT_WEB]["State"]["Pid"] = 6000
    again = contained(6000, f"/docker/{WEB}")
    assert look(collector, host, dockerd(), again)["web"].init == again.id


def following(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> tuple[Callable[..., dict[str, Sighting]], threading.Semaphore]:
    """Bring a collector to where it follows the events and has taken in all that was."""
    woken = threading.Semaphore(0)

    def light(*processes: Process) -> dict[str, Sighting]:
        return look(collector, host, dockerd(), *processes, full=False, wake=woken.release)

    look(collector, host, dockerd(), INIT, wake=woken.release)
    assert woken.acquire(timeout=0)  # to come back for the events
    light(INIT)
    assert daemon.following.acquire(timeout=PATIENCE)
    assert woken.acquire(timeout=PATIENCE)
    light(INIT)
    return light, woken


def test_in_steady_state_nothing_is_asked(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    light, _ = following(collector, host, daemon)
    before = list(daemon.asked)
    assert states(light(INIT)) == ALL
    assert daemon.asked == before
    look(collector, host, dockerd(), INIT)
    assert [asked.partition("?")[0] for asked in daemon.asked[len(before) :]] == [
        "/containers/json"
    ]


def test_an_event_has_its_container_inspected(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    light, woken = following(collector, host, daemon)
    before = list(daemon.asked)
    state = daemon.answers[INSPECT_WEB]["State"]
    state.update(Status="exited", Running=False, Pid=0, ExitCode=137, OOMKilled=True)
    daemon.happen("die", WEB)
    assert woken.acquire(timeout=PATIENCE)
    found = light()["web"]
    assert (found.state, found.exit_code, found.oom_killed) == (State.EXITED, 137, True)
    assert found.init is None
    assert daemon.asked[len(before) :] == [INSPECT_WEB]


def test_a_container_that_is_gone_when_it_is_inspected_is_gone(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    light, woken = following(collector, host, daemon)
    del daemon.answers[INSPECT_WEB]
    daemon.happen("destroy", WEB)
    assert woken.acquire(timeout=PATIENCE)
    assert set(light()) == {"done", "new"}


def test_what_removes_itself_is_seen_once_more_as_it_ended(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    """Run with --rm, it cannot be asked for its exit code: the events told it."""
    light, woken = following(collector, host, daemon)
    del daemon.answers[INSPECT_WEB]
    daemon.happen("oom", WEB)
    daemon.happen("die", WEB, exitCode="137")
    daemon.happen("destroy", WEB)
    for _ in range(3):
        assert woken.acquire(timeout=PATIENCE)
    found = light()["web"]
    assert (found.state, found.exit_code, found.oom_killed) == (State.EXITED, 137, True)
    assert (found.init, found.finished) == (None, 1_795_461_800)
    assert set(light()) == {"done", "new"}


def test_ooms_are_counted_by_their_events(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    light, woken = following(collector, host, daemon)
    assert light()["web"].oom_events == 0
    for nanoseconds in (5, 9, 9):  # the last one is told again
        daemon.happen("oom", WEB, nanoseconds=nanoseconds)
        assert woken.acquire(timeout=PATIENCE)
    found = light()
    assert (found["web"].oom_events, found["done"].oom_events) == (2, 0)


def test_a_404_after_the_list_is_normal(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    del daemon.answers[INSPECT_WEB]
    context = host.context(dockerd(), INIT)
    assert set(by_name(collector.collect(context))) == {"done", "new"}
    assert context.host.tally.malformed.total() == 0


def test_after_a_break_everything_is_listed_again(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    light, woken = following(collector, host, daemon)
    daemon.cut_events()
    assert woken.acquire(timeout=PATIENCE)
    assert daemon.following.acquire(timeout=PATIENCE)
    before = daemon.count("/containers/json")
    light(INIT)
    assert daemon.count("/containers/json") == before + 1


def test_one_broken_container_costs_only_what_inspecting_tells(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    daemon.answers[INSPECT_WEB] = http("500 Internal Server Error", b'{"message": "layer"}')
    context = host.context(dockerd(), INIT)
    found = by_name(collector.collect(context))
    assert states(found) == ALL
    assert found["web"].image == "busybox:lab"
    assert found["web"].health is None
    assert context.host.tally.malformed.total() == 1


def test_an_answer_about_another_container_is_not_believed(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    daemon.answers[INSPECT_WEB] = daemon.answers[f"/containers/{DONE}/json"]
    context = host.context(dockerd(), INIT)
    assert states(by_name(collector.collect(context))) == ALL
    assert context.host.tally.malformed.total() == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (http("500 Internal Server Error", b'{"message": "no"}'), "HTTP 500 no"),
        (http("200 OK", b'[{"Id": "abc'), "no JSON"),
        (b"", "list: "),
    ],
)
def test_a_daemon_that_fails_keeps_its_last_answer(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker, answer: bytes, why: str
) -> None:
    before = look(collector, host, dockerd(), INIT)
    daemon.answers["/containers/json"] = answer
    with pytest.raises(PartlySeen, match=why) as found:
        collector.collect(host.context(dockerd(), INIT))
    assert by_name(found.value.sightings) == before
    assert str(found.value).startswith(SOCKET)


@pytest.mark.usefixtures("daemon")
def test_a_configured_daemon_that_is_not_there_is_a_failure_and_costs_no_other(
    collector: DockerCollector, host: EngineHost
) -> None:
    options = Options(docker_hosts=("unix:///run/docker2.sock",))
    with pytest.raises(PartlySeen, match=r"/run/docker2\.sock: .*nobody listens") as found:
        collector.collect(host.context(dockerd(), INIT, options=options))
    assert states(by_name(found.value.sightings)) == ALL


def test_a_daemon_that_never_answers_does_not_take_long(
    collector: DockerCollector,
    host: EngineHost,
    daemon: FakeDocker,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = look(collector, host, dockerd(), INIT)
    daemon.answers["/containers/json"] = daemon.hang
    with monkeypatch.context() as impatient:
        impatient.setattr(Budget, "time_left", lambda _: 0.1)
        assert partly(collector, host, dockerd(), INIT) == before
    asked = daemon.count("/containers/json")
    # It is left alone for a while, and then asked again.
    assert partly(collector, host, dockerd(), INIT) == before
    assert daemon.count("/containers/json") == asked
    clock.now += 3600
    daemon.answers["/containers/json"] = []
    assert look(collector, host, dockerd()) == {}


def test_a_daemon_that_never_answered_is_read_from_disk(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    furnish(host)
    daemon.answers["/version"] = daemon.hang
    found = partly(collector, host, dockerd(), INIT, options=Options(docker_timeout=0.1))
    assert states(found) == ALL
    assert found["web"].init == INIT.id
    assert found["web"].image_facts is not None


def test_what_happened_while_a_daemon_fails_is_read_from_disk(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    furnish(host)
    look(collector, host, dockerd(), INIT)
    daemon.answers["/containers/json"] = b""
    shutil.rmtree(host.at(f"/var/lib/docker/containers/{DONE}"))
    assert set(partly(collector, host, dockerd(), INIT)) == {"web", "new"}


def test_a_dead_daemon_leaves_its_containers(collector: DockerCollector, host: EngineHost) -> None:
    furnish(host)
    with FakeDocker(host.at(SOCKET)).run():
        look(collector, host, dockerd(), INIT)
    found = look(collector, host, INIT)
    assert states(found) == ALL
    assert found["web"].init == INIT.id
    assert found["web"].instance == SOCKET
    # Nor is what it said last believed of processes that are others by now.
    stranger = contained(5046, "/elsewhere", id=ProcessId(5046, 10**12))
    found = look(collector, host, stranger)
    assert (found["web"].state, found["web"].init) == (State.RUNNING, None)


def test_a_daemon_that_comes_back_is_asked_again(
    collector: DockerCollector, host: EngineHost
) -> None:
    with FakeDocker(host.at(SOCKET)).run():
        look(collector, host, dockerd(), INIT)
    assert look(collector, host, INIT) == {}  # it had no files either
    listens(host, 51, SOCKET)
    with FakeDocker(host.at(SOCKET)).run() as again:
        assert states(look(collector, host, dockerd(51), INIT)) == ALL
        assert again.count("/containers/json") == 1


def test_a_dead_daemon_that_was_never_seen_alive(
    collector: DockerCollector, host: EngineHost
) -> None:
    furnish(host)
    found = look(collector, host, INIT)
    assert states(found) == ALL
    assert found["web"].instance == SOCKET


def test_whether_the_hosts_own_daemons_run(collector: DockerCollector, host: EngineHost) -> None:
    def told(*processes: Process) -> dict[tuple[str, str], bool]:
        ctx = host.context(*processes)
        collector.collect(ctx)
        return ctx.daemons

    # It never ran here: there is nothing that would miss it.
    assert told() == {}
    furnish(host)
    with FakeDocker(host.at(SOCKET)).run():
        assert told(dockerd(), INIT) == {("docker", SOCKET): True}
    assert told(INIT) == {("docker", SOCKET): False}
    users = dataclasses.replace(dockerd(52), uid=1000)
    assert told(users, INIT) == {("docker", SOCKET): False}


def test_a_shim_outlives_its_daemon(collector: DockerCollector, host: EngineHost) -> None:
    bundle = {"mounts": [{"source": f"/srv/data/containers/{WEB}/hostname"}]}
    host.write("/run/task/config.json", bundle)
    host.enter(30, "cwd", "/run/task")
    furnish(host, "/srv/data")
    argv = ("containerd-shim-runc-v2", "-namespace", "moby", "-id", WEB)
    shim = process(30, exe="/usr/bin/containerd-shim-runc-v2", argv=argv)
    init = contained(5046, "/elsewhere", ppid=30)
    found = look(collector, host, shim, init)
    assert found["web"].init == init.id
    assert found["web"].instance == "/srv/data"


def test_one_of_two_daemons_fails(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    listens(host, 51, "/srv/two.sock")
    host.at("/srv").mkdir()
    with FakeDocker(host.at("/srv/two.sock")).run() as two:
        renamed = {**two.answers[INSPECT_WEB], "Id": "e" * 64, "Name": "/second"}
        two.answers["/containers/json"] = [{"Id": "e" * 64, "State": "running"}]
        two.answers[f"/containers/{'e' * 64}/json"] = renamed
        second = dockerd(51, "--data-root", "/srv/two")
        assert set(look(collector, host, dockerd(), second, INIT)) == {*ALL, "second"}
        two.answers["/containers/json"] = b""
        entry = daemon.answers["/containers/json"][0]
        daemon.answers["/containers/json"] = [entry]
        found = partly(collector, host, dockerd(), second, INIT)
    assert len(found) == 2
    assert "second" in found


def nested(host: EngineHost) -> Process:
    """Put a daemon into a container, with a socket of its own."""
    listens(host, 60, "/var/run/docker.sock")
    host.at("/inner/run").mkdir(parents=True)
    host.at("/inner/var").mkdir()
    host.link("/inner/var/run", "/run")
    host.enter(60, "root", "/inner")
    line = "31 1 0:31 /docker/outer /sys/fs/cgroup/systemd ro - cgroup cgroup rw,name=systemd"
    host.write("proc:60/mountinfo", line)
    return dockerd(
        60,
        ns={"mnt": 70, "pid": 71},
        root=70,
        ns_pids=(60, 1),
        cgroups={"name=systemd": "/docker/outer"},
    )


def test_docker_in_docker(collector: DockerCollector, host: EngineHost) -> None:
    outer = nested(host)
    init = contained(61, f"/docker/outer/docker/{WEB}", ppid=60, ns_pids=(61, 5046, 1))
    neighbour = contained(5046, "/docker/other")
    with FakeDocker(host.at("/inner/run/docker.sock")).run():
        found = look(collector, host, outer, init, neighbour)
    assert states(found) == ALL
    assert found["web"].instance == f"/docker/outer:{SOCKET}"
    assert found["web"].init == init.id
    assert found["web"].cgroup == f"/docker/outer/docker/{WEB}"
    assert found["done"].cgroup == f"/docker/outer/docker/{DONE}"
    assert found["web"].rootfs == ""
    assert found["web"].mounts == ()


def test_a_nested_daemon_cannot_fail_the_collector(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    outer = nested(host)
    with FakeDocker(host.at("/inner/run/docker.sock")).run() as inner:
        inner.answers["/version"] = http("200 OK", b"[" * 100_000)
        context = host.context(dockerd(), outer, INIT)
        assert states(by_name(collector.collect(context))) == ALL
        assert context.host.tally.malformed.total() == 1
    assert daemon.asked


def test_a_nested_daemon_cannot_speak_of_the_hosts_containers(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    outer = nested(host)
    assert daemon.answers
    with FakeDocker(host.at("/inner/run/docker.sock")).run() as inner:
        inner.answers[INSPECT_WEB]["Name"] = "/forged"
        found = look(collector, host, dockerd(), outer, INIT)
    assert set(found) == set(ALL)


def test_a_nested_socket_that_leads_out_is_not_followed(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    outer = nested(host)
    host.link("/inner/run/docker.sock", "../../run/docker.sock")
    context = host.context(outer)
    assert list(collector.collect(context)) == []
    assert daemon.asked == []


def test_podmans_service_under_dockers_name_is_no_docker(
    collector: DockerCollector, host: EngineHost
) -> None:
    path = "/run/podman.sock"
    listens(host, 55, path)
    service = process(55, exe="/usr/bin/podman")
    options = Options(environment={"DOCKER_HOST": f"unix://{path}"}, docker_timeout=PATIENCE)
    with FakeDocker(host.at(path)).run() as podman:
        podman.answers["/version"]["Components"] = [{"Name": "Podman Engine"}]
        assert "podman" in fails(collector, host, service, options=options)


def test_a_users_daemon_cannot_claim_roots_processes(
    collector: DockerCollector, host: EngineHost
) -> None:
    listens(host, 70, "/run/user/1000/docker.sock")
    host.at("/run/user/1000").mkdir(parents=True)
    host.enter(70, "root", "/")
    user = dockerd(70, uid=1000, ns={"mnt": 77, "user": 78})
    with FakeDocker(host.at("/run/user/1000/docker.sock")).run():
        assert look(collector, host, user, INIT)["web"].init is None
        own = contained(5046, f"/docker/{WEB}", ns_pids=(5046, 1))
        own = process(5046, ns={"mnt": 80, "user": 78}, root=9, cgroups=dict(own.cgroups))
        assert look(collector, host, user, own)["web"].init == own.id


def test_what_a_users_daemon_named_is_not_read_as_roots_own_when_it_has_ended(
    collector: DockerCollector, host: EngineHost
) -> None:
    """He may have it run for a moment, and name any directory: one of his making, or root's."""
    for pid, path in ((70, "/home/u"), (71, "/home/v")):
        listens(host, pid, f"{path}/docker.sock")
        host.at(path).mkdir(parents=True)
        host.enter(pid, "root", "/")
    furnish(host, "/home/u/data")
    his = dockerd(70, "--data-root=/home/u/data", uid=1000)
    assert look(collector, host, his, INIT) == {}
    assert look(collector, host, INIT) == {}

    furnish(host)
    roots = dockerd(71, "--data-root=/var/lib/docker", uid=1000)
    found = look(collector, host, roots, INIT)
    assert states(found) == ALL
    assert found["web"].instance == SOCKET


def test_too_many_containers_to_inspect_at_once(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker, clock: Clock
) -> None:
    answer = daemon.answer

    def slow(connection: Any, target: str) -> bool:
        clock.now += 5.0 if INSPECT_WEB in target or DONE in target else 0.0
        return answer(connection, target)

    daemon.answer = slow  # type: ignore[method-assign]
    woken: list[bool] = []
    found = look(collector, host, dockerd(), INIT, wake=lambda: woken.append(True))
    assert states(found) == ALL  # from the list, where there was no time to inspect
    assert woken
    count = sum(daemon.count(f"/containers/{i}/json") for i in (WEB, DONE, NEW))
    look(collector, host, dockerd(), INIT)
    assert sum(daemon.count(f"/containers/{i}/json") for i in (WEB, DONE, NEW)) >= max(count, 3)


def test_names_that_would_garble_something_come_through(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    evil = 'a"\\\n\ud800\x1b[31m日'
    daemon.answers[INSPECT_WEB]["Config"]["Labels"] = {"evil": evil}
    label = look(collector, host, dockerd(), INIT)["web"].labels["evil"]
    assert label == 'a"\\\n?\x1b[31m日'
    assert json.dumps(label).encode()


def test_closing_twice_and_without_a_daemon(host: EngineHost) -> None:
    collector = DockerCollector()
    look(collector, host)
    collector.close()
    collector.close()


def test_a_daemon_that_is_slow_is_read_from_disk_until_it_answers(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    furnish(host)
    slow, release = slowed(daemon, "/info")
    woken = threading.Semaphore(0)
    quick = Options(docker_timeout=0.05)
    found = partly(collector, host, dockerd(), INIT, options=quick, wake=woken.release)
    assert slow.acquire(timeout=PATIENCE)
    assert states(found) == ALL
    assert found["web"].image_facts is not None
    assert found["web"].image_facts.size_bytes is None  # no file tells it
    assert "not answered yet" in fails(collector, host, dockerd(), INIT, options=quick)
    release.set()
    assert woken.acquire(timeout=PATIENCE)  # to follow the events
    assert woken.acquire(timeout=PATIENCE)  # for the answer
    found = look(collector, host, dockerd(), INIT, options=quick)
    assert states(found) == ALL
    assert found["web"].image_facts is not None
    assert found["web"].image_facts.size_bytes == 1982380


def test_what_a_daemon_told_is_kept_while_it_is_slow(
    collector: DockerCollector,
    host: EngineHost,
    daemon: FakeDocker,
    caplog: pytest.LogCaptureFixture,
) -> None:
    furnish(host)
    before = look(collector, host, dockerd(), INIT)
    slow, release = slowed(daemon, "/containers/json")
    quick = Options(docker_timeout=0.05)
    for _ in range(3):
        found = look(collector, host, dockerd(), INIT, options=quick)
        assert states(found) == ALL
        assert found["web"].image_facts == before["web"].image_facts
    assert slow.acquire(timeout=PATIENCE)
    release.set()
    late = [r for r in caplog.records if "late" in r.message]
    assert [SOCKET in r.message for r in late] == [True]


def slowed(daemon: FakeDocker, path: str) -> tuple[threading.Semaphore, threading.Event]:
    """Let a daemon answer one question only when told to; the semaphore counts the questions."""
    asked, release = threading.Semaphore(0), threading.Event()
    answer = daemon.answer

    def wait(connection: Any, target: str) -> bool:
        if path in target:
            asked.release()
            release.wait(PATIENCE)
        return answer(connection, target)

    daemon.answer = wait  # type: ignore[method-assign]
    return asked, release


def test_a_daemon_that_starts_is_no_failing_collector(
    collector: DockerCollector, host: EngineHost
) -> None:
    furnish(host)
    host.facts = dataclasses.replace(host.facts, boot_time=NOW - 1000.0)
    ticks = os.sysconf("SC_CLK_TCK")
    listens(host, 51)
    young = dockerd(51, id=ProcessId(51, 995 * ticks))
    old = dockerd(51, id=ProcessId(51, 100 * ticks))
    assert states(look(collector, host, young, INIT)) == ALL
    assert "does not listen" in fails(collector, host, old, INIT)


@pytest.mark.skipif(os.geteuid() != 0, reason="must be root to become somebody who is denied")
def test_a_daemon_that_may_not_be_asked_is_a_failure_however_young_it_is(
    collector: DockerCollector, host: EngineHost, tmp_path: Path
) -> None:
    host.facts = dataclasses.replace(host.facts, boot_time=NOW - 1000.0)
    young = dockerd(id=ProcessId(50, 995 * os.sysconf("SC_CLK_TCK")))
    for folder in tmp_path, *tmp_path.parents:
        folder.chmod(folder.stat().st_mode | 0o055)
    with FakeDocker(host.at(SOCKET)).run():
        host.at(SOCKET).chmod(0o600)
        os.seteuid(65534)
        try:
            assert "permission denied" in fails(collector, host, young)
        finally:
            os.seteuid(0)


def test_users_daemons_that_are_slow_cost_only_themselves(
    collector: DockerCollector,
    host: EngineHost,
    daemon: FakeDocker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(docker_collector, "_UNTRUSTED_SHARE", 0.001)
    processes = [dockerd(), INIT]
    with ExitStack() as stack:
        for pid in range(100, 114):
            path = f"/run/{pid}.sock"
            listens(host, pid, path)
            host.enter(pid, "root", "/")
            fake = stack.enter_context(FakeDocker(host.at(path)).run())
            fake.answers["/version"] = fake.hang
            processes.append(dockerd(pid, uid=1000))
        processes.sort(key=lambda p: -p.pid)  # root's own would come last
        for _ in range(3):
            assert states(look(collector, host, *processes)) == ALL
    assert daemon.asked


def test_health_that_changes_on_disk_is_read_again(
    collector: DockerCollector, host: EngineHost
) -> None:
    """As for an agent that may not connect to the socket, but may read the files."""
    furnish(host)
    assert look(collector, host, INIT)["web"].health == "healthy"
    path = f"/var/lib/docker/containers/{WEB}/config.v2.json"
    document = json.loads(host.at(path).read_text())
    document["State"]["Health"]["Status"] = "unhealthy"
    host.write(path, document)
    assert look(collector, host, INIT)["web"].health == "unhealthy"


def test_health_that_changes_while_a_daemon_fails_is_read_from_disk(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    furnish(host)
    rootfs = look(collector, host, dockerd(), INIT)["web"].rootfs
    daemon.answers["/containers/json"] = b""
    path = f"/var/lib/docker/containers/{WEB}/config.v2.json"
    document = json.loads(host.at(path).read_text())
    document["State"]["Health"]["Status"] = "unhealthy"
    host.write(path, document)
    web = partly(collector, host, dockerd(), INIT)["web"]
    assert (web.health, web.rootfs) == ("unhealthy", rootfs)


def test_the_size_of_an_image_is_asked_for_again_after_a_failure(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    furnish(host)
    answer = daemon.answers[f"/images/{IMAGE}/json"]
    daemon.answers[f"/images/{IMAGE}/json"] = http("500 Internal Server Error", b"{}")
    facts = look(collector, host, dockerd(), INIT)["web"].image_facts
    assert facts is None
    daemon.answers[f"/images/{IMAGE}/json"] = answer
    facts = look(collector, host, dockerd(), INIT)["web"].image_facts
    assert facts is not None
    assert facts.size_bytes == 1982380


def test_the_size_of_an_image_is_asked_for_after_the_daemon_was_read_from_disk(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker, clock: Clock
) -> None:
    furnish(host)
    version = daemon.answers["/version"]
    daemon.answers["/version"] = b""
    facts = partly(collector, host, dockerd(), INIT)["web"].image_facts
    assert facts is not None
    daemon.answers["/version"] = version
    clock.now += 3600
    facts = look(collector, host, dockerd(), INIT)["web"].image_facts
    assert facts is not None
    assert facts.size_bytes == 1982380


def test_a_container_that_was_not_inspected_is_inspected_again(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    light, _ = following(collector, host, daemon)
    daemon.answers["/containers/json"].append({"Id": "e" * 64, "State": "running"})
    daemon.answers[f"/containers/{'e' * 64}/json"] = http("500 Internal Server Error", b"{}")
    look(collector, host, dockerd(), INIT)
    named = {**daemon.answers[INSPECT_WEB], "Id": "e" * 64, "Name": "/again"}
    daemon.answers[f"/containers/{'e' * 64}/json"] = named
    assert "again" in light(INIT)


def test_a_daemon_that_must_not_be_asked_is_read_from_disk(
    collector: DockerCollector, host: EngineHost, daemon: FakeDocker
) -> None:
    furnish(host, "/var/lib/docker")
    options = Options(engine_sockets=False, docker_hosts=("unix:///nowhere.sock",))
    context = host.context(dockerd(50), INIT, options=options)
    found = by_name(collector.collect(context))
    assert "web" in found
    assert {sighting.instance for sighting in found.values()} == {SOCKET}
    assert daemon.asked == []
    assert context.daemons["docker", SOCKET] is True
