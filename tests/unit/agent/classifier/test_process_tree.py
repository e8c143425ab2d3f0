"""Which processes are a container's own, which is the first, and what each one is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.classifier import read_scene
from agent.classifier.process_tree import read_tree
from collectors.facts import FileId
from tests.support.subjects import JOURNALD, NGINX, REDIS, SSHD, Node, booted, claims, run, subject

if TYPE_CHECKING:
    from agent.model import Subject


def test_one_binary_under_many_names_is_believed_by_half() -> None:
    one = FileId(8, 42)
    linked = subject(
        run(
            "sh",
            claims("/usr/sbin/sshd", "/usr/sbin/sshd", exe_id=one),
            claims("/usr/sbin/cron", "/usr/sbin/cron", exe_id=one),
            args="-c x",
        )
    )
    assert read_scene(linked).os_weight == 1.0
    separate = subject(
        run(
            "sh",
            claims("/usr/sbin/sshd", "/usr/sbin/sshd", exe_id=one),
            claims("/usr/sbin/cron", "/usr/sbin/cron", exe_id=FileId(8, 43)),
            args="-c x",
        )
    )
    assert read_scene(separate).os_weight == 2.0


def test_zombies_and_what_entered_from_outside_are_left_out() -> None:
    dead = Node(None, (), (), {"state": "Z"})
    tree = read_tree(subject(run("sh", NGINX, dead), entered_from_outside=(run("bash"),)))
    assert sorted(i.name for i in tree.identity.values()) == ["nginx", "nginx", "nginx", "sh"]


def test_the_first_process_is_the_reported_one_else_pid_1_else_the_oldest() -> None:
    reported = subject(run("sh", NGINX))
    first, second = reported.processes[:2]
    assert read_tree(reported).init == first

    def unreported(**more: Any) -> Subject:
        container = replace(reported.container, init=None)
        return replace(reported, container=container, **more)

    assert read_tree(unreported()).init == first
    as_on_the_host = tuple(replace(p, ns_pids=(p.pid,)) for p in (second, first))
    init = read_tree(unreported(processes=as_on_the_host)).init
    assert init is not None
    assert init.pid == first.pid
    assert read_tree(subject(None)).init is None


def test_units_are_the_cgroups_beside_init_scope() -> None:
    assert read_tree(subject(booted(JOURNALD, SSHD))).units == {"u0.service", "u1.service"}
    assert read_tree(subject(run("sh", SSHD, NGINX))).units == frozenset()


def test_a_supervisor_by_behaviour_holds_services_of_two_families() -> None:
    def supervisors(tree: Node) -> int:
        return len(read_tree(subject(tree)).supervisors)

    assert supervisors(run("/app/start", NGINX, REDIS)) == 1
    assert supervisors(run("/app/start", SSHD, NGINX)) == 1
    assert supervisors(run("/app/start", NGINX, NGINX)) == 0
    assert supervisors(run("/app/start", run("/app/one"), run("/app/two"))) == 0
    assert supervisors(run("sh", NGINX, REDIS)) == 0
    assert supervisors(run("nginx", SSHD, REDIS)) == 0


def test_a_subtree_ends_where_it_is_cut_and_survives_a_circle() -> None:
    inside = subject(run("sh", run("bash", NGINX), REDIS))
    tree = read_tree(inside)
    shell, bash = inside.processes[:2]
    assert [tree.identity[p.pid].name for p in tree.subtree(shell, {bash.pid})] == [
        "sh",
        "redis-server",
    ]
    around = replace(inside, processes=(replace(shell, ppid=bash.pid), bash))
    assert len(read_tree(around).subtree(bash)) == 2
