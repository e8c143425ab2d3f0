from __future__ import annotations

from pathlib import Path

import pytest

from collectors.engines.openvz.node import NodeReader
from collectors.engines.openvz.vzlist.background import Answer
from collectors.engines.openvz.vzlist.output import parse_output
from tests.support.openvz_node import (
    BOOT_TIME,
    NOW,
    PAUSED,
    STOPPED,
    WEB,
    context,
    load_cases,
    make_node,
)


def test_a_container_is_alive_when_the_kernel_or_a_process_shows_it(tmp_path: Path) -> None:
    node = NodeReader().read(context(make_node(tmp_path, 7)), None, on_node=True)
    assert node.is_alive(WEB) is True
    assert node.is_alive(STOPPED) is False


def test_without_the_kernels_list_the_cgroups_decide(tmp_path: Path) -> None:
    top = make_node(tmp_path, 7)
    (top / "proc/vz/veinfo").unlink()
    node = NodeReader().read(context(top), None, on_node=True)
    assert node.kernel.running is None
    assert node.is_alive(STOPPED) is False
    assert node.is_alive("424242") is None


def test_configuration_that_is_older_than_the_answer_shows_no_container(tmp_path: Path) -> None:
    ctx = context(make_node(tmp_path, 4))
    assert "103" in NodeReader().read(ctx, None, on_node=True).ctids()
    later = Answer({}, 2**40)
    assert "103" not in NodeReader().read(ctx, later, on_node=True).ctids()


def test_a_container_gets_the_cgroup_that_the_node_gives(tmp_path: Path) -> None:
    node = NodeReader().read(context(make_node(tmp_path, 7)), None, on_node=True)
    assert node.cgroup(WEB) == f"/machine.slice/{WEB}"
    assert node.cgroup("424242") == "/machine.slice/424242"


def test_the_start_is_that_of_the_init_else_by_an_uptime(tmp_path: Path) -> None:
    answer = Answer(parse_output(load_cases("7.0.254")["all_json"].stdout), NOW - 5)
    node = NodeReader().read(context(make_node(tmp_path, 7)), answer, on_node=True)
    init = node.inits[WEB]
    assert node.start_of(WEB) == pytest.approx(BOOT_TIME + init.id.start_ticks / 100)
    for name in ("proc", "sys"):
        (tmp_path / "none" / name).mkdir(parents=True)
    elsewhere = NodeReader().read(context(tmp_path / "none"), answer, on_node=False)
    assert elsewhere.start_of(PAUSED) == pytest.approx(NOW - 5 - 12.34)


def test_a_light_pass_keeps_the_views_of_cgroups(tmp_path: Path) -> None:
    top, reader = make_node(tmp_path, 7), NodeReader()
    before = reader.read(context(top), None, on_node=True).cgroups[WEB]
    light = reader.read(context(top, now=NOW + 5, full=False), None, on_node=True)
    assert light.cgroups[WEB] is before
    again = reader.read(context(top, now=NOW + 61, full=False), None, on_node=True)
    assert again.cgroups[WEB] is not before
