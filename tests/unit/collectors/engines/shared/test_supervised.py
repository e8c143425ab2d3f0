from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.shared.birth import made_at
from collectors.engines.shared.supervised import (
    boots_system,
    first_inside,
    instance_of,
    parse_command_line,
    prefixes,
    program,
)
from collectors.facts import Namespaces
from collectors.hostfs import HostFS
from tests.support.processes import HOST, process
from tests.support.system_host import context


def test_first_inside_goes_through_helpers(tmp_path: Path) -> None:
    outside = process(10)
    helper = process(11, 10)
    setting_up = process(12, 11, ns={"mnt": 20})
    init = process(13, 12, ns={"mnt": 20, "pid": 21}, root=1)
    ctx = context(tmp_path, HOST, [outside, helper, setting_up, init])
    children = ctx.processes.children()
    assert first_inside(outside, ctx, children) == setting_up
    assert first_inside(outside, ctx, children, own_pids=True) == init
    assert first_inside(init, ctx, children) is None


def test_without_namespaces_the_pids_tell(tmp_path: Path) -> None:
    outside = process(10, namespaces=Namespaces())
    beside = process(11, 10, namespaces=Namespaces())
    init = process(12, 10, namespaces=Namespaces(), ns_pids=(12, 1))
    ctx = context(tmp_path, HOST, [outside, beside, init])
    assert first_inside(outside, ctx, ctx.processes.children()) == init


@pytest.mark.parametrize(
    ("exe", "name"),
    [("/usr/bin/lxc-start (deleted)", "lxc-start"), ("/a/b", "b"), (None, ""), ("", "")],
)
def test_program(exe: str | None, name: str) -> None:
    assert program(process(10, exe=exe)) == name


def test_instance_of_an_engine_in_a_container() -> None:
    assert instance_of("/x", process(10), HOST) == "/x"
    assert instance_of("/x", process(10, ns={"mnt": 20}), HOST) == "/x"  # on the host's root
    assert instance_of("/x", process(10, ns={"mnt": 20}, root=1), HOST) == "/x@mnt:[20]"


@pytest.mark.parametrize(
    ("argv", "options", "rest"),
    [
        (["p", "-abx", "v", "r"], [("-a", ""), ("-b", ""), ("-x", "v")], ["r"]),
        (["p", "-xv", "--long", "w", "r"], [("-x", "v"), ("--long", "w")], ["r"]),
        (["p", "--flag", "r"], [("--flag", "")], ["r"]),
        (["p", "--long=w=z", "--", "-a"], [("--long", "w=z")], ["-a"]),
        (["p", "r", "-a"], [], ["r", "-a"]),
        (["p", "-x"], [("-x", "")], []),
        (["p", "--long"], [("--long", "")], []),
        (["p", "-", "-a"], [], ["-", "-a"]),
        ([], [], []),
    ],
)
def test_command_line(argv: list[str], options: list[tuple[str, str]], rest: list[str]) -> None:
    line = parse_command_line(argv, "abx:", frozenset({"long"}), stop=True)
    assert line.options == options
    assert line.rest == rest


def test_options_may_follow_words_where_the_engine_lets_them() -> None:
    line = parse_command_line(["p", "r", "-x", "v", "s"], "x:", frozenset(), stop=False)
    assert line.get("-x") == "v"
    assert line.rest == ["r", "s"]


@given(st.lists(st.text()), st.booleans())
def test_any_command_line_is_read(argv: list[str], stop: bool) -> None:
    line = parse_command_line(argv, "x:", frozenset({"long"}), stop=stop)
    assert len(line.options) + len(line.rest) <= sum(len(w) + 1 for w in argv)


def test_prefixes() -> None:
    assert list(prefixes("/a/b")) == [("/a", "a"), ("/a/b", "b")]


@pytest.mark.parametrize(
    ("command", "boots"),
    [
        (["/sbin/init"], True),
        (["busybox", "init"], True),
        (["busybox", "httpd"], False),
        (["/init"], None),
        (["/usr/bin/app", "init"], False),
    ],
)
def test_boots_system(command: list[str], boots: bool | None) -> None:
    assert boots_system(command) is boots


def test_birth_is_not_moved_by_changes(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    host = HostFS("/proc", "/sys", str(tmp_path))
    before = made_at(host.root, "d")
    os.utime(tmp_path / "d", (1, 1))
    assert made_at(host.root, "d") == before
    assert before is not None
    assert before <= (tmp_path / "d").stat().st_ctime
    assert made_at(host.root, "nowhere") is None
