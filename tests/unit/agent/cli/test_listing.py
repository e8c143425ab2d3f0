from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agent.cli.listing import Selection, as_objects, as_table, summary
from agent.cli.terminal import Screen
from collectors.facts import HostFacts, Namespaces, ProcessId
from collectors.kernel.virtualization import INITIAL_PID_NAMESPACE
from tests.support.snapshots import BAD, EVIL, GONE, INNER, LEGACY, NOW, WEB, picture

PROMISED = {
    "id",
    "name",
    "engine",
    "image",
    "state",
    "style",
    "expected_style",
    "score",
    "confidence",
    "pid",
    "cgroup",
    "parent_id",
}


def names(selection: Selection) -> list[str]:
    return [container.name for _, container in selection.containers(picture())]


def test_children_stand_under_their_parent() -> None:
    found = [(depth, c.name) for depth, c in Selection().containers(picture())]
    assert found == [(0, "legacy"), (1, "inner"), (0, "web"), (0, EVIL)]


def test_containers_that_are_their_own_parents_are_listed() -> None:
    one, other = replace(WEB, parent_id=LEGACY.id), replace(LEGACY, parent_id=WEB.id)
    alone = replace(BAD, parent_id=BAD.id)
    found = Selection().containers(picture(one, other, alone))
    assert sorted(c.id for _, c in found) == sorted([WEB.id, LEGACY.id, BAD.id])


def test_the_inside_of_a_container_says_so() -> None:
    def lines(kind: str, pid: int = INITIAL_PID_NAMESPACE + 200) -> str:
        host = HostFacts(virtualization=kind, namespaces=Namespaces(pid=pid))
        return "\n".join(as_table(replace(picture(), host=host), Selection(), Screen()))

    assert "the inside of a container (LXC)" in lines("lxc")
    assert "the inside of a container (OpenVZ)" in lines("openvz")
    for outside in (lines(""), lines("kvm"), lines("wsl"), lines("docker", INITIAL_PID_NAMESPACE)):
        assert "inside of" not in outside


def test_a_lost_parent_does_not_hide_its_child() -> None:
    assert len(Selection().containers(picture(INNER))) == 1


def test_removed_containers_are_not_listed() -> None:
    assert GONE.name not in names(Selection())
    assert GONE.name in names(Selection(gone=True))


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(engines=frozenset({"lxc"})), [EVIL]),
        (Selection(styles=frozenset({"system"})), ["legacy"]),
        (Selection(styles=frozenset({"unknown"})), ["inner"]),
        (Selection(findings=frozenset()), ["legacy", EVIL]),
        (Selection(findings=frozenset({"no_limits"})), ["legacy"]),
        (Selection(findings=frozenset({"privileged"})), []),
    ],
)
def test_filters(selection: Selection, expected: list[str]) -> None:
    assert names(selection) == expected


@pytest.mark.parametrize(
    ("selection", "number"),
    [
        (Selection(), 0),
        (Selection(everything=True), 1),
        (Selection(styles=frozenset({"none"})), 1),
        (Selection(everything=True, styles=frozenset({"app"})), 0),
        (Selection(everything=True, engines=frozenset({"docker"})), 0),
        (Selection(everything=True, findings=frozenset()), 0),
    ],
)
def test_what_is_not_a_container(selection: Selection, number: int) -> None:
    assert len(selection.look_alikes(picture())) == number


def test_the_table() -> None:
    lines = list(as_table(picture(WEB, LEGACY), Selection(everything=True), Screen()))
    assert lines == [
        "NAME    ENGINE  IMAGE       STATE    STYLE   SCORE  CONF  EXPECTED  FINDINGS  AGE",
        "legacy  docker  debian:12   running  system  +0.93   90%  app !            2  15m",
        "web     docker  nginx:1.27  running  app     -0.91   87%  app                  2d",
        "",
        "NOT A CONTAINER   KIND     ENGINE  PID  WHY",
        "systemd-resolved  service  none     33  the host's manager runs it",
    ]


def test_findings_stand_under_their_container() -> None:
    lines = list(as_table(picture(WEB, LEGACY), Selection(findings=frozenset()), Screen()))
    assert lines[2:] == [
        "  docker_as_vm: a small server runs in docker, with sshd",
        "  no_limits: it has no memory, CPU or pids limit",
    ]


def test_no_containers() -> None:
    assert list(as_table(picture(GONE), Selection(), Screen())) == ["No containers."]


def test_the_summary() -> None:
    assert summary(picture(), Selection()) == "4 containers: 2 app, 1 system, 1 unknown"
    assert summary(picture(WEB), Selection()) == "1 container: 1 app"


@pytest.mark.parametrize("width", [None, 40, 80])
def test_a_name_cannot_command_the_terminal(width: int | None) -> None:
    text = "\n".join(as_table(picture(), Selection(findings=frozenset()), Screen(width=width)))
    assert all(line.isprintable() for line in text.split("\n"))
    text.encode("utf-8")


def test_json_has_what_is_promised() -> None:
    for entry in as_objects(picture(), Selection(everything=True)):
        assert entry.keys() >= PROMISED
    web = as_objects(picture(WEB), Selection())[0]
    assert web["pid"] == 4711
    assert (web["style"], web["expected_style"]) == ("app", "app")
    assert (web["score"], web["confidence"]) == (-0.91, 0.87)


def test_json_of_what_does_not_run() -> None:
    (inner,) = as_objects(picture(INNER), Selection())
    assert inner["pid"] is None
    assert inner["parent_id"] == LEGACY.id


def test_json_of_what_is_not_a_container() -> None:
    (other,) = as_objects(picture(), Selection(styles=frozenset({"none"})))
    assert other["style"] == "none"
    assert other["reason"] == "the host's manager runs it"
    assert other["kind"] == "service"


def test_json_is_valid_whatever_containers_are_called() -> None:
    text = json.dumps(as_objects(picture(), Selection()))
    assert text.isascii()
    assert "\\ud" not in text.replace("\\ud83d", "")


def test_an_age_is_never_negative() -> None:
    young = replace(WEB, started=NOW + 5, init=ProcessId(1, 1))
    assert list(as_table(picture(young), Selection(), Screen()))[1].endswith("0s")
