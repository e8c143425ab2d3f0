from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent import __version__
from agent.cli import main as cli
from agent.config import Config
from agent.model import Snapshot
from agent.serve.supervisor import NoScoutError
from tests.support.certificates import Authority
from tests.support.snapshots import BROKEN, EVIL, HEALTHY, LEGACY, WEB, picture

Look = Callable[[Snapshot | None], list[Config]]


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Look:
    """Return what the scout would see, and collect the configurations that it is given."""
    asked: list[Config] = []

    def use(snapshot: Snapshot | None) -> list[Config]:
        def take_once(config: Config, *, deadline: float) -> Snapshot | None:
            assert deadline > 0
            asked.append(config)
            return snapshot

        monkeypatch.setattr("agent.serve.supervisor.take_once", take_once)
        return asked

    monkeypatch.setattr("agent.logs.configure", lambda *_: None)
    monkeypatch.setattr("agent.config.DEFAULT_FILE", "/nonexistent")
    return use


WELL = replace(picture(WEB, LEGACY), collectors=(HEALTHY,))


def test_ls(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    look(WELL)
    assert cli.main(["ls"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("NAME")
    assert len(out.splitlines()) == 3
    assert err == ""


def test_ls_for_programs(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    look(picture())
    assert cli.main(["ls", "--json", "--all"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["style"] for entry in found] == ["system", "unknown", "app", "app", "none"]


def test_ls_filters(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    look(picture())
    assert cli.main(["ls", "--json", "--engine=docker,podman", "--style=app"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == ["web"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--findings"], 1),
        (["--findings=no_limits"], 1),
        (["--findings=privileged"], 0),
        (["--findings", "--engine=lxc"], 0),
    ],
)
def test_findings_make_the_exit_code(look: Look, arguments: list[str], code: int) -> None:
    look(WELL)
    assert cli.main(["ls", *arguments]) == code


def test_what_is_missing_is_told(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    look(replace(WELL, collectors=(BROKEN,), dropped=7))
    assert cli.main(["ls", "--json"]) == 0
    out, err = capsys.readouterr()
    json.loads(out)
    assert err.startswith("tallyman: collector docker failed (no answer x\\x1b[31m")
    assert "7 more containers exceed the limit containers.max" in err
    assert "\x1b" not in err


@pytest.mark.parametrize("snapshot", [None, replace(WELL, complete=False)])
def test_a_host_that_cannot_be_looked_at(
    look: Look, capsys: pytest.CaptureFixture[str], snapshot: Snapshot | None
) -> None:
    look(snapshot)
    assert cli.main(["ls", "--timeout=2s"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tallyman: this host could not be scanned within 2 s; allow more")


def test_a_scout_that_fails_is_no_matter_of_time(
    look: Look, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    look(None)

    def take_once(_: Config, *, deadline: float) -> Snapshot | None:
        raise NoScoutError(f"the scout could not be started within {deadline:g} s")

    monkeypatch.setattr("agent.serve.supervisor.take_once", take_once)
    assert cli.main(["ls", "--timeout=9s"]) == 3
    assert capsys.readouterr().err == (
        "tallyman: this host could not be scanned: the scout could not be started within 9 s\n"
    )
    assert cli.main(["check", "--json"]) == 1
    (found,) = [c for c in json.loads(capsys.readouterr().out) if c["name"] == "first scan"]
    assert "the scout could not be started" in found["found"]
    assert "standard error" in found["remedy"]


def test_a_wrong_procfs(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    look(WELL)
    assert cli.main(["ls", "--path.procfs=/nonexistent"]) == 3
    assert capsys.readouterr().err == (
        "tallyman: /nonexistent: No such file or directory; set --path.procfs to the host's /proc\n"
    )


@pytest.mark.parametrize("command", ["ls", "check", "serve"])
def test_a_procfs_that_is_not_mounted(
    look: Look, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    look(WELL)
    (tmp_path / "cmdline").touch()
    assert cli.main([command, f"--path.procfs={tmp_path}"]) == 3
    assert capsys.readouterr().err == (
        f"tallyman: {tmp_path} shows no processes, so no proc filesystem is mounted there; "
        "set --path.procfs to the host's /proc\n"
    )


def test_explain(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    look(WELL)
    assert cli.main(["explain", "legacy"]) == 0
    assert capsys.readouterr().out.startswith("legacy is system-style")


def test_explain_for_programs(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    look(WELL)
    assert cli.main(["explain", "--json", "bbbb"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "legacy"


def test_explain_what_is_not_there(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    look(WELL)
    assert cli.main(["explain", "legcy"]) == 1
    assert capsys.readouterr().err == ("tallyman: no such container: legcy; did you mean legacy?\n")


def test_explain_what_is_not_a_container(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    look(WELL)
    assert cli.main(["explain", "systemd-resolved"]) == 1
    assert "is not a container (service)" in capsys.readouterr().out


def test_explain_what_two_are_called(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    look(replace(WELL, containers={c.id: c for c in (WEB, replace(LEGACY, name="web"))}))
    assert cli.main(["explain", "web"]) == 1
    err = capsys.readouterr().err
    assert WEB.id in err
    assert LEGACY.id in err


def test_check(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    look(picture())
    assert cli.main(["check", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {"name", "ok", "optional", "found", "lost", "remedy"} == found[0].keys()


def test_check_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.toml"
    file.write_text("[web]\nmax_requests = 2\n")
    assert cli.main(["check-config", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: ok\n"
    file.write_text("[web]\nmax_requests = 0\n[wbe]\n")
    assert cli.main(["check-config", str(file)]) == 2
    assert capsys.readouterr().err == (
        f'tallyman: {file}: wbe: unknown key; did you mean "web"?\n'
        f"tallyman: {file}: web.max_requests: must be a whole number, at least 1, not 0\n"
    )


def test_the_web_configuration_is_checked_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, web = tmp_path / "x.toml", tmp_path / "web.yml"
    file.write_text(f'[web]\nconfig_file = "{web}"\n')
    web.write_text("{}")
    assert cli.main(["check-config", str(file)]) == 0
    web.write_text("tls_server_config: {cert_file: none.pem}\nx: 1\n")
    assert cli.main(["check-config", str(file)]) == 2
    assert [line.split(": ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "x",
        "tls_server_config.cert_file",
    ]


def test_who_else_may_change_the_files_is_checked_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, web, key = tmp_path / "x.toml", tmp_path / "web.yml", tmp_path / "k.pem"
    tmp_path.chmod(0o770)
    Authority(tmp_path).sign("server", "DNS:localhost")
    (tmp_path / "server.key").rename(key)
    key.chmod(0o644)
    file.write_text(f'[web]\nconfig_file = "{web}"\n')
    web.write_text("tls_server_config: {cert_file: server.pem, key_file: k.pem}\n")
    assert cli.main(["check-config", str(file)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert f"tallyman: warning: {file}: its group may replace it: {tmp_path} is" in lines[0]
    assert any(
        line.startswith(f"tallyman: warning: {key}: every user may read this key") for line in lines
    )
    web.chmod(0o666)
    assert cli.main(["check-config", str(file)]) == 2
    assert f"{web}: is not used, as every user may write it" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version"]) == 0
    assert capsys.readouterr().out == f"tallyman {__version__}\n"


def test_flags_reach_the_scout(look: Look, tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('[log]\nlevel = "debug"\n[collector.docker]\nhosts = ["unix:///a"]\n')
    asked = look(WELL)
    assert (
        cli.main(
            [
                "ls",
                f"--config.file={file}",
                "--collector.docker.host=unix:///b",
                "--collector.docker.host=unix:///c",
                "--no-collector.lxc",
                "--collector.openvz.vzlist-command=sudo 'vz list'",
            ]
        )
        == 0
    )
    (config,) = asked
    assert config.docker.hosts == ("unix:///b", "unix:///c")
    assert config.openvz.vzlist_command == ("sudo", "vz list")
    assert not config.enabled("lxc")
    assert config.log.level == "error"


def test_wrong_values_of_flags(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["serve", "--config.file=", "--web.listen-address=x", "--log.level=loud"]
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("tallyman: --web.listen-address: must be an address and a port")
    assert "tallyman: --log.level: must be" in err


def test_the_address_in_use_is_an_error_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from agent.web.server import CannotListenError  # noqa: PLC0415

    def run(*_: object) -> int:
        raise CannotListenError("cannot listen on x")

    # Nothing is split off the tests' own process.
    monkeypatch.setattr("agent.serve.launcher.permitted", lambda: 0)
    monkeypatch.setattr("agent.serve.daemon.run", run)
    monkeypatch.setattr("agent.logs.configure", lambda *_: None)
    assert cli.main(["serve", "--config.file="]) == 3
    assert capsys.readouterr().err == "tallyman: cannot listen on x\n"


def test_ctrl_c_is_quiet(
    look: Look, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    look(WELL)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agent.serve.supervisor.take_once", interrupted)
    assert cli.main(["ls"]) == 130
    assert capsys.readouterr().err == ""


SCRIPT = """
import sys
from dataclasses import replace
import agent.serve.supervisor
from agent.cli import main as cli
from tests.support.snapshots import *
containers = {str(n): replace(BAD, id=str(n)) for n in range(int(sys.argv[1]))}
snapshot = replace(picture(WEB), containers=containers, collectors=())
agent.serve.supervisor.take_once = lambda config, *, deadline: snapshot
sys.exit(cli.main(["ls", "--all", "--config.file="]))
"""


def run_script(number: int, encoding: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(number)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": encoding},
    )


def test_a_broken_pipe_is_quiet() -> None:
    process = run_script(5000, "utf-8")
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"NAME")
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_name_is_too_much_for_the_output(encoding: str) -> None:
    out, err = run_script(1, encoding).communicate()
    assert err == b""
    assert EVIL[:1].encode() in out
    assert b"\x1b" not in out


def test_a_full_disk_is_told_in_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "agent", "version"],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )
    assert done.stderr == b"tallyman: cannot write: No space left on device\n"
    assert done.returncode == 3
