from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.formats.command_line import (
    boots_system,
    option_value,
    option_values,
    parse_command_line,
)


@pytest.mark.parametrize(
    "argv",
    [
        ("dockerd", "-H", "unix:///a", "--host=unix:///b"),
        ("dockerd", "-H=unix:///a", "--debug", "--host", "unix:///b"),
    ],
)
def test_options_in_all_their_spellings(argv: tuple[str, ...]) -> None:
    assert option_values(argv, "-H", "--host") == ["unix:///a", "unix:///b"]
    assert option_value(argv, "-H", "--host") == "unix:///a"
    assert option_value(argv, "--data-root") == ""


def test_an_option_without_a_value_is_none() -> None:
    assert option_values(("dockerd", "-H"), "-H") == []
    assert option_value((), "-H") == ""


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


@pytest.mark.parametrize(
    ("command", "boots"),
    [
        (["/sbin/init"], True),
        (["busybox", "init"], True),
        (["busybox", "httpd"], False),
        (["/init"], None),
        (["/usr/bin/app", "init"], False),
        (["/bin/s6-svscan", "/run/service"], False),  # a supervisor of an image's own services
    ],
)
def test_boots_system(command: list[str], boots: bool | None) -> None:
    assert boots_system(command) is boots
