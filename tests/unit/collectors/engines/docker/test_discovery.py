from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.contract import Options
from collectors.engines.docker.container import CgroupRule
from collectors.engines.docker.discovery import (
    Daemon,
    DaemonFinder,
    absent_hosts,
    operators_daemons,
)
from collectors.engines.docker.sockets import parse_listening, server_of
from tests.support.engine_host import EngineHost, patient
from tests.support.fake_docker import WEB
from tests.support.processes import process

if TYPE_CHECKING:
    from collectors.facts import Process

TABLE = """Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 {inode} {path}
0000000000000000: 00000003 00000000 00000000 0001 03 900 {path}
0000000000000000: 00000002 00000000 00010000 0001 01 901 @abstract
0000000000000000: 00000002 00000000 00010000 0001 01 902
"""


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


def dockerd(pid: int = 50, *arguments: str, **more: Any) -> Process:
    return process(pid, exe="/usr/bin/dockerd", argv=("dockerd", *arguments), **more)


def listens(host: EngineHost, pid: int, *paths: str) -> None:
    """Let a process listen on unix sockets."""
    table = TABLE.splitlines()[0] + "\n"
    for number, path in enumerate(paths, 700):
        table += TABLE.format(inode=number, path=path).split("\n", 1)[1]
        host.link(f"proc:{pid}/fd/{number}", f"socket:[{number}]")
    host.link(f"proc:{pid}/fd/0", "/dev/null")
    host.write(f"proc:{pid}/net/unix", table)


def find(host: EngineHost, *processes: Process) -> list[Daemon]:
    return DaemonFinder().find(host.context(*processes))


def test_a_daemon_and_the_socket_it_listens_on(host: EngineHost) -> None:
    listens(host, 50, "/run/docker/metrics.sock", "/run/docker/libnetwork/7.sock",
            "/run/docker/swarm/control.sock", "/var/run/docker.sock")  # fmt: skip
    (found,) = find(host, dockerd())
    assert found.sockets == ("/run/docker.sock",)
    assert found.instance == "/run/docker.sock"
    assert found.data_root == "/var/lib/docker"
    assert found.rule == CgroupRule()
    assert not found.is_untrusted


def test_a_user_does_not_take_the_place_of_roots_daemon(host: EngineHost) -> None:
    """In mounts of his own he can listen under any path, and have begun before it."""
    listens(host, 40, "/run/docker.sock")
    listens(host, 50, "/run/docker.sock")
    host.enter(40, "root", "/")
    users = dockerd(40, uid=1000, ns={"mnt": 77, "user": 78})
    (found,) = find(host, users, dockerd(50))
    assert found.process == dockerd(50)
    assert not found.is_untrusted


def test_a_name_is_no_daemon(host: EngineHost) -> None:
    assert find(host, process(50, comm="dockerd", argv=("dockerd",))) == []


def test_what_a_daemon_starts_itself_for_is_no_other_daemon(host: EngineHost) -> None:
    listens(host, 50, "/run/docker.sock")
    listens(host, 52, "/run/docker.sock")
    # Package reexec of moby, for a layer that is pulled; and a child before it becomes runc.
    unpacks = process(51, exe="/usr/bin/dockerd", argv=("docker-applyLayer", "/x"), ppid=50)
    (found,) = find(host, dockerd(), unpacks, dockerd(52, ppid=50))
    assert found.process is not None
    assert (found.process.pid, found.sockets) == (50, ("/run/docker.sock",))


def test_a_hook_of_runc_that_is_dockerds_binary_is_no_daemon(host: EngineHost) -> None:
    listens(host, 50, "/run/docker.sock")
    hook = process(90, 80, exe="/usr/bin/dockerd", argv=("libnetwork-setkey", "-exec-root=/x"))
    host.write("proc:90/net/unix", "")
    host.at("proc:90/fd").mkdir()
    (found,) = find(host, dockerd(), process(80, exe="/usr/sbin/runc"), hook)
    assert found.process is not None
    assert found.process.pid == 50


def test_many_daemons_of_one_user_crowd_out_no_other(host: EngineHost) -> None:
    many = range(1000, 1100)
    for pid in (50, *many, 2000):
        listens(host, pid, f"/run/{pid}.sock")
        if pid != 50:
            host.enter(pid, "root", "/")
    found = find(
        host,
        *(dockerd(pid, uid=1000) for pid in many),
        dockerd(2000, uid=1001),
        dockerd(),
    )
    assert len(found) <= 65
    assert next(d.instance for d in found) == "/run/50.sock"
    assert "/run/2000.sock" in [d.instance for d in found]


def test_several_daemons_side_by_side(host: EngineHost) -> None:
    listens(host, 50, "/run/docker.sock")
    listens(host, 51, "/srv/two.sock")
    found = find(
        host, dockerd(), dockerd(51, "--data-root", "/srv/two", "-H", "unix:///srv/two.sock")
    )
    assert {d.instance: d.data_root for d in found} == {
        "/run/docker.sock": "/var/lib/docker",
        "/srv/two.sock": "/srv/two",
    }


def test_the_configuration_file(host: EngineHost) -> None:
    host.write(
        "/etc/docker/daemon.json",
        {
            "data-root": "/srv/data",
            "exec-opts": ["native.cgroupdriver=systemd"],
            "cgroup-parent": "docker.slice",
            "hosts": ["fd://", "unix:///srv/api.sock"],
        },
    )
    listens(host, 50, "/run/docker.sock", "/srv/api.sock")
    (found,) = find(host, dockerd())
    assert found.sockets == ("/srv/api.sock", "/run/docker.sock")
    assert found.data_root == "/srv/data"
    assert found.rule == CgroupRule(systemd=True, parent="docker.slice")


@pytest.mark.parametrize("data", ["", "[]", "{", '{"data-root": 7, "hosts": "x"}'])
def test_a_configuration_file_that_says_nothing(host: EngineHost, data: str) -> None:
    host.write("/etc/docker/daemon.json", data)
    listens(host, 50, "/run/docker.sock")
    (found,) = find(host, dockerd())
    assert found.data_root == "/var/lib/docker"


def test_a_users_daemon(host: EngineHost) -> None:
    host.write("/etc/passwd", "u:x:1000:1000::/home/u:/bin/sh\n")
    listens(host, 50, "/run/user/1000/docker.sock")
    host.enter(50, "root", "/")
    (found,) = find(host, dockerd(uid=1000, ns={"mnt": 77, "user": 78}))
    assert found.is_untrusted
    assert found.prefix == ""
    assert found.instance == "/run/user/1000/docker.sock"
    assert found.data_root == "/home/u/.local/share/docker"


def test_the_daemon_of_a_user_whom_no_file_of_this_host_lists(host: EngineHost) -> None:
    listens(host, 50, "/run/user/70000/docker.sock")
    host.write("proc:50/environ", b"LANG=C\0HOME=/net/ldap\0")
    host.write("/net/ldap/.config/docker/daemon.json", {"exec-opts": []})
    (found,) = find(host, dockerd(uid=70000))
    assert found.data_root == "/net/ldap/.local/share/docker"


def test_a_daemon_in_a_container(host: EngineHost) -> None:
    listens(host, 50, "/var/run/docker.sock")
    host.write("/inner/etc/docker/daemon.json", {"data-root": "/data"})
    host.enter(50, "root", "/inner")
    inside: dict[str, Any] = {"ns": {"mnt": 70, "pid": 71}, "root": 70}
    (found,) = find(host, dockerd(cgroups={"name=systemd": "/docker/outer"}, **inside))
    assert found.is_untrusted
    assert found.instance == "/docker/outer:/run/docker.sock"
    assert found.data_root == "/data"


def test_a_daemon_in_a_container_with_a_fuse_mount_is_not_asked(host: EngineHost) -> None:
    listens(host, 50, "/var/run/docker.sock")
    host.enter(50, "root", "/inner")
    host.write("proc:50/mountinfo", "9 8 0:9 / /srv rw - fuse.evil evil rw\n")
    inside: dict[str, Any] = {"ns": {"mnt": 70, "pid": 71}, "root": 70}
    assert find(host, dockerd(cgroups={"name=systemd": "/docker/outer"}, **inside)) == []


def test_only_so_many_strangers_are_listened_to(
    host: EngineHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.engines.docker.discovery._UNTRUSTED_LIMIT", 2)
    for pid in range(50, 55):
        listens(host, pid, f"/run/user/{pid}/docker.sock")
    listens(host, 60, "/run/docker.sock")
    found = find(host, *(dockerd(pid, uid=pid) for pid in range(50, 55)), dockerd(60))
    assert len(found) == 3
    assert "/run/docker.sock" in {d.instance for d in found}


def test_a_daemon_that_does_not_listen_yet_keeps_its_name(host: EngineHost) -> None:
    listens(host, 50)
    daemon = dockerd(50, "-H", "unix:///srv/api.sock")
    finder = DaemonFinder()
    (before,) = finder.find(host.context(daemon))
    assert before.sockets == ()
    host.write("proc:50/net/unix", TABLE.format(inode=700, path="/srv/api.sock"))
    host.link("proc:50/fd/700", "socket:[700]")
    (after,) = finder.find(host.context(daemon))
    assert after.sockets == ("/srv/api.sock",)
    assert before.instance == after.instance


def test_what_is_known_of_a_process_is_not_read_again(host: EngineHost) -> None:
    listens(host, 50, "/run/docker.sock")
    finder = DaemonFinder()
    first = finder.find(host.context(dockerd()))
    host.at("proc:50/net/unix").unlink()
    assert finder.find(host.context(dockerd())) == first


def test_a_daemon_that_ended_meanwhile_is_none(host: EngineHost) -> None:
    assert find(host, dockerd()) == []
    assert find(host, dockerd(ns={"mnt": 70}, root=70)) == []


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        (("-H", "tcp://127.0.0.1:2375"), "tcp://127.0.0.1:2375"),
        (("-H", "tcp://0.0.0.0:4243"), "tcp://127.0.0.1:4243"),
        (("-H", "tcp://"), "tcp://127.0.0.1:2375"),
        (("-H", "tcp://10.0.0.1:2375"), ""),
        (("-H", "tcp://127.0.0.1:2376", "--tlsverify"), ""),
    ],
)
def test_a_daemon_that_listens_on_tcp_only(
    host: EngineHost, arguments: tuple[str, ...], address: str
) -> None:
    listens(host, 50)
    (found,) = find(host, dockerd(50, *arguments))
    assert found.address == address


def given_hosts(host: EngineHost, *processes: Process, **options: Any) -> list[Daemon]:
    context = host.context(*processes, options=Options(**options))
    return operators_daemons(context, DaemonFinder().find(context))


def test_a_socket_that_somebody_serves_may_be_named(host: EngineHost) -> None:
    listens(host, 50, "/srv/proxy.sock")
    proxy = process(50, exe="/usr/bin/socat")
    (found,) = given_hosts(host, proxy, docker_hosts=("unix:///srv/proxy.sock",))
    assert found.sockets == ("/srv/proxy.sock",)
    (found,) = given_hosts(host, proxy, environment={"DOCKER_HOST": "unix:///srv/proxy.sock"})
    assert found.instance == "/srv/proxy.sock"


def test_a_socket_that_only_systemd_holds_is_left_alone(host: EngineHost) -> None:
    listens(host, 1, "/run/docker.sock")
    listens(host, 50, "/run/user/1000/podman/podman.sock")
    manager = process(50, exe="/usr/lib/systemd/systemd")
    hosts = ("unix:///run/docker.sock", "unix:///run/user/1000/podman/podman.sock")
    assert given_hosts(host, manager, docker_hosts=hosts) == []
    assert given_hosts(host, docker_hosts=("unix:///run/nobody.sock",)) == []


def test_a_configured_socket_on_which_nobody_listens_is_absent(host: EngineHost) -> None:
    listens(host, 50, "/run/docker.sock", "/srv/proxy.sock")
    manager = process(50, exe="/usr/lib/systemd/systemd")

    def absent(**options: Any) -> list[str]:
        return absent_hosts(host.context(manager, options=Options(**options)), [])

    there = ("unix:///var/run/docker.sock", "/srv/proxy.sock", "tcp://build:2375")
    assert absent(docker_hosts=there) == []
    assert absent(docker_hosts=(*there, "unix:///run/nobody.sock")) == ["/run/nobody.sock"]
    assert absent(environment={"DOCKER_HOST": "unix:///run/nobody.sock"}) == []


def test_a_daemon_that_was_found_need_not_be_named(host: EngineHost) -> None:
    listens(host, 50, "/run/docker.sock")
    assert given_hosts(host, dockerd(), docker_hosts=("unix:///var/run/docker.sock",)) == []


def test_an_address_from_the_environment_may_be_another_machines(host: EngineHost) -> None:
    (found,) = given_hosts(host, environment={"DOCKER_HOST": "tcp://build:2375"})
    assert found.must_be_here
    (found,) = given_hosts(host, docker_hosts=("tcp://build:2375",))
    assert not found.must_be_here
    assert given_hosts(host, docker_hosts=("ssh://build", "", "fd://")) == []


def test_who_serves_a_socket_in_another_network_namespace(host: EngineHost) -> None:
    listens(host, 50, "/srv/two.sock")
    server = process(50, ns={"net": 77})
    assert server_of(host.context(server), "/srv/two.sock") == server
    assert server_of(host.context(server), "/srv/three.sock") is None


def shim(pid: int, address: str = "/run/containerd/containerd.sock") -> Process:
    argv = ("containerd-shim-runc-v2", "-namespace", "moby", "-id", WEB, "-address", address)
    return process(pid, exe="/usr/bin/containerd-shim-runc-v2", argv=argv)


def test_a_shim_tells_of_a_daemon_that_is_dead(host: EngineHost) -> None:
    host.copy("docker/bundle-config.json", "/run/task/config.json")
    host.enter(30, "cwd", "/run/task")
    finder = DaemonFinder()
    context = host.context(shim(30), shim(31))
    assert [(d.prefix, d.data_root) for d in finder.find_silent(context)] == [
        ("", "/var/lib/docker"),
        ("", "/var/lib/docker"),
    ]
    host.at("/run/task/config.json").unlink()
    assert len(list(finder.find_silent(context))) == 2  # it is remembered


def test_without_shims_only_the_usual_place_is_looked_at(host: EngineHost) -> None:
    assert [d.instance for d in DaemonFinder().find_silent(host.context())] == ["/run/docker.sock"]


def test_the_snap_has_a_usual_place_too(host: EngineHost) -> None:
    snaps = "/var/snap/docker/common/var-lib-docker"

    def silent() -> list[tuple[str, str]]:
        found = DaemonFinder().find_silent(host.context())
        return [(daemon.instance, daemon.data_root) for daemon in found]

    host.write(f"{snaps}/containers/x", "")
    assert silent() == [("/run/docker.sock", snaps)]
    host.write("/var/lib/docker/containers/x", "")
    assert silent() == [("/run/docker.sock", "/var/lib/docker"), ("/run/docker.sock", snaps)]


def test_the_table_of_sockets() -> None:
    table = TABLE.format(inode=7, path="/with a blank/docker.sock").encode()
    assert list(parse_listening(table)) == [("7", "/with a blank/docker.sock")]


@patient
@given(st.binary())
def test_any_table_of_sockets(table: bytes) -> None:
    assert all(path.startswith("/") for _, path in parse_listening(table))
