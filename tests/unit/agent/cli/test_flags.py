from __future__ import annotations

import pytest

from agent.cli.flags import Parser, overrides, parse


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lss"], 'tallyman: lss: unknown command; did you mean "ls"?; see tallyman --help\n'),
        (["ls", "--al"], 'tallyman ls: --al: unknown flag; did you mean "--all"?; see tallyman'),
        (["ls", "--zzz=1"], "tallyman ls: --zzz: unknown flag; see tallyman ls --help\n"),
        (["ls", "x"], "tallyman ls: x: unexpected argument; see tallyman ls --help\n"),
        (["ls", "--style=vm"], "tallyman ls: argument --style: vm: unknown style; there are: app"),
        (["ls", "--timeout=9"], "tallyman ls: argument --timeout: must be a time with its unit"),
        (["explain"], "tallyman explain: the following arguments are required: WHAT; see"),
        (["--zzz"], "tallyman: "),
    ],
)
def test_wrong_usage_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as left:
        parse(arguments)
    assert left.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse([])
    assert left.value.code == 2
    assert "tallyman COMMAND --help" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["serve", "ls", "explain", "check", "check-config", "version"])
def test_every_command_has_help_with_exit_codes(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with pytest.raises(SystemExit) as left:
        parse([command, "--help"])
    assert left.value.code == 0
    assert "exit codes:" in capsys.readouterr().out


def test_flags_that_are_not_given_say_nothing() -> None:
    assert overrides(parse(["serve"])) == {}
    assert overrides(parse(["serve", "--no-cadvisor-names"])) == {"metrics.cadvisor_names": False}


def test_parsers_complain_like_ours(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        Parser(prog="x").error("y")
    assert left.value.code == 2
    assert capsys.readouterr().err == "x: y; see x --help\n"
