"""The objects of the schema, made of the model."""

from __future__ import annotations

from dataclasses import fields, replace

from agent import wire
from agent.api import objects, schema
from agent.api.encode import plain
from agent.model import Details, ProcessEntry, Socket, Task
from agent.selection import Selection
from collectors.facts import FileId, HostFacts, Mount, Publish
from tests.support.snapshots import LEGACY, WEB, picture


def entry(pid: int, parent: int, task: Task = Task.WORKER, name: str = "nginx") -> ProcessEntry:
    return ProcessEntry(
        pid=pid, parent=parent, inner_pid=pid - 4000, start_ticks=100, program=name, task=task
    )


MOUNT = Mount(
    device=FileId(1, 0), root="/", target="/data", fstype="ext4", source="/dev/vdb", options=""
)


def explained(*processes: ProcessEntry, mounts: tuple[Mount, ...] = ()) -> schema.ContainerDetails:
    packed = wire.pack(Details(processes=processes, mounts=mounts))
    host = HostFacts(boot_time=1000.0)
    snapshot = replace(picture(WEB), details={WEB.id: packed}, host=host)
    return objects.explained(WEB, snapshot)


def test_processes_are_a_tree() -> None:
    shown = explained(
        entry(4711, 1, Task.SERVICE), entry(4712, 4711), entry(4713, 4711), entry(4714, 4712)
    )
    (top,) = shown.processes
    assert (top.pid, top.inner_pid, top.role, top.started) == (4711, 711, "service", 1001.0)
    assert [child.pid for child in top.children] == [4712, 4713]
    assert [child.pid for child in top.children[0].children] == [4714]


def test_a_chain_of_processes_is_no_deeper_than_json_can_be_read() -> None:
    chain = [entry(5000 + n, 4999 + n) for n in range(250)]
    tree = plain(explained(*chain).processes)
    depth, level = 0, tree
    while level:
        depth, level = depth + 1, [c for p in level for c in p["children"]]
    assert 60 < depth < 70
    assert str(tree).count("'pid'") == 250


def test_processes_that_are_each_others_parents_end_somewhere() -> None:
    assert len(explained(entry(10, 10), entry(11, 12)).processes) == 2


def test_without_details_there_are_no_processes() -> None:
    shown = objects.explained(LEGACY, picture())
    assert (shown.processes, shown.mounts, shown.more_processes) == ((), (), 0)


def test_mounts() -> None:
    (mount,) = explained(mounts=(MOUNT,)).mounts
    assert plain(mount) == {"target": "/data", "type": "ext4", "source": "/dev/vdb", "root": "/"}


def test_a_published_port_is_joined_with_whose_socket_it_is() -> None:
    container = replace(
        WEB,
        publishes=(Publish("0.0.0.0", 8080, 80, "tcp"), Publish("127.0.0.1", 8443, 443, "tcp")),
        sockets=(
            Socket(protocol="tcp", address="0.0.0.0", port=80, program="nginx", pid=7),
            Socket(protocol="udp", address="0.0.0.0", port=80, program="other"),
        ),
    )
    shown = [
        (p.published_address, p.published_port, p.port, p.protocol, p.program)
        for p in objects.ports(container)
    ]
    assert shown == [
        ("0.0.0.0", 8080, 80, "tcp", "nginx"),
        ("127.0.0.1", 8443, 443, "tcp", None),
        (None, None, 80, "udp", "other"),
    ]


def test_the_list_has_what_ls_shows() -> None:
    shown = objects.listed(picture(), Selection())
    assert [c.name for c in shown][1:] == ["legacy", "inner", "web"] or len(shown) == 4
    assert all(c.use is None for c in shown)
    removed = objects.listed(picture(), Selection(gone=True))
    assert [c.removed for c in removed].count(True) == 1


def test_a_container_by_itself_has_all_that_it_has_in_the_list() -> None:
    names = [field.name for field in fields(schema.ContainerDetails)]
    assert names[: len(fields(schema.Container))] == [f.name for f in fields(schema.Container)]


def test_the_host() -> None:
    shown = objects.host(picture())
    assert shown.nodename == "host<1>"
    assert [(c.name, c.success) for c in shown.collectors] == [
        ("processes", True),
        ("docker", False),
    ]
    assert sum(c.containers for c in shown.containers) == 4
