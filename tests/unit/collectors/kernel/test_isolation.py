"""What separates a container from its host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.facts import FileId, HostFacts, Mount, Namespaces, Process, ProcessId
from collectors.hostfs import HostFS
from collectors.kernel.isolation import read_isolation, root_outside

if TYPE_CHECKING:
    from pathlib import Path

PID = 4711
ALL = (1 << 41) - 1
DOCKER = 0xA80425FB  # what Docker gives when it is told nothing
FACTS = HostFacts(namespaces=Namespaces(cgroup=1, ipc=1, mnt=1, net=1, pid=1, user=1, uts=1))
INNER = Namespaces(cgroup=1, ipc=2, mnt=2, net=1, pid=2, user=1, uts=None)


def init(
    *,
    namespaces: Namespaces = INNER,
    capabilities: int | None = DOCKER,
    seccomp: int | None = 2,
    **more: Any,
) -> Process:
    bits: dict[str, Any] = {"permitted": capabilities, "bounding": ALL, **more}
    return Process(
        id=ProcessId(PID, 1),
        ppid=1,
        namespaces=namespaces,
        capabilities=capabilities,
        seccomp=seccomp,
        **bits,
    )


def mount(root: str, target: str) -> Mount:
    return Mount(
        device=FileId(1, 0), root=root, target=target, fstype="tmpfs", source="", options=""
    )


@pytest.fixture
def host(tmp_path: Path) -> HostFS:
    (tmp_path / str(PID)).mkdir()
    return HostFS(procfs=str(tmp_path))


def test_namespaces_that_are_the_hosts(host: HostFS) -> None:
    isolation = read_isolation(host, FACTS, init(), ())
    assert isolation.shared_namespaces == {"cgroup", "net", "user"}
    assert isolation.user_mapped is False
    assert isolation.privileged is False
    assert isolation.engine_sockets == ()


def test_a_root_that_is_mapped(host: HostFS, tmp_path: Path) -> None:
    own_user = Namespaces(user=2)
    (tmp_path / str(PID) / "uid_map").write_text("         0     100000      65536\n")
    assert read_isolation(host, FACTS, init(namespaces=own_user), ()).user_mapped
    (tmp_path / str(PID) / "uid_map").write_text("         0          0 4294967295\n")
    assert read_isolation(host, FACTS, init(namespaces=own_user), ()).user_mapped is False


def test_a_mapping_that_cannot_be_read_is_not_known(host: HostFS) -> None:
    found = read_isolation(host, FACTS, init(namespaces=Namespaces()), ())
    assert found.user_mapped is None
    assert found.shared_namespaces == frozenset()


@pytest.mark.parametrize(
    ("capabilities", "seccomp", "privileged"),
    [
        (ALL, 0, True),
        (ALL & ~(1 << 24), 0, True),  # a host without CAP_SYS_RESOURCE has none to give
        (ALL, 2, False),
        (ALL & ~(1 << 16), 0, False),  # LXC keeps CAP_SYS_MODULE to the host
        (DOCKER, 0, False),
        (None, 0, None),
        (ALL, None, None),
    ],
)
def test_who_is_privileged(
    host: HostFS, capabilities: int | None, seccomp: int | None, privileged: bool | None
) -> None:
    found = read_isolation(host, FACTS, init(capabilities=capabilities, seccomp=seccomp), ())
    assert found.privileged is privileged


@pytest.mark.parametrize(
    "more",
    [
        {"capabilities": 0, "permitted": 0},  # bubblewrap: it could get them, and has none
        {"capabilities": ALL, "permitted": DOCKER},
        {"capabilities": 0, "permitted": ALL},
    ],
)
def test_what_a_process_could_get_it_does_not_have(host: HostFS, more: dict[str, Any]) -> None:
    assert read_isolation(host, FACTS, init(seccomp=0, **more), ()).privileged is False


@pytest.mark.parametrize("uid_map", ["0 100000 65536\n", "0 0 4294967295\n"])
def test_all_capabilities_in_a_user_namespace_of_its_own_are_not_the_hosts(
    host: HostFS, tmp_path: Path, uid_map: str
) -> None:
    (tmp_path / str(PID) / "uid_map").write_text(uid_map)
    own = init(namespaces=Namespaces(user=2), capabilities=ALL, seccomp=0)
    assert read_isolation(host, FACTS, own, ()).privileged is False


def test_capabilities_in_a_namespace_that_cannot_be_read_are_not_known(host: HostFS) -> None:
    unread = init(namespaces=Namespaces(), capabilities=ALL, seccomp=0)
    assert read_isolation(host, FACTS, unread, ()).privileged is None


def test_an_engines_socket_whatever_it_is_called_inside(host: HostFS) -> None:
    mounts = [
        mount("/docker.sock", "/tmp/x"),
        mount("/incus/unix.socket", "/i"),
        mount("/", "/run/docker.sock"),
        mount("/data/docker.sock.d", "/data"),
    ]
    assert read_isolation(host, FACTS, init(), mounts).engine_sockets == ("/i", "/tmp/x")


@pytest.mark.parametrize(
    ("text", "outside"),
    [
        (b"0 100000 65536\n", 100000),
        (b"0 0 4294967295\n", 0),
        (b"1 100001 65535\n0 1000 1\n", 1000),
        (b"1000 1000 1\n", None),
        (b"", None),
        (b"0 x 1\n", None),
    ],
)
def test_the_hosts_number_of_root(text: bytes, outside: int | None) -> None:
    assert root_outside(text) == outside


@given(st.binary(max_size=200))
def test_any_uid_map_gives_an_answer(data: bytes) -> None:
    found = root_outside(data)
    assert found is None or found >= 0
