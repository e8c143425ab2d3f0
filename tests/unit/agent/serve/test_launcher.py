from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from agent import wire
from agent.config import ConfigError, load
from agent.scout.progress import Progress
from agent.serve.launcher import LocalStarter, ScoutProcess, _RequestHandler
from tests.engines.harness.programs import wait_until

ECHO = """
import sys
sys.stdout.buffer.write(sys.stdin.buffer.readline())
sys.stdout.flush()
sys.stdin.buffer.read()
"""
"""A scout that says what it was told, and ends when nobody listens."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a scout that ends by itself take its time, however busy the machine is."""
    monkeypatch.setattr("agent.serve.launcher.END_SECONDS", 60.0)


@pytest.fixture
def starter(tmp_path: Path) -> LocalStarter:
    file = tmp_path / "tallyman.toml"
    file.write_text('[log]\nlevel = "error"\n')
    return LocalStarter(load(str(file), {"web.max_requests": 3}), (sys.executable, "-c", ECHO))


def told(child: ScoutProcess) -> wire.Orders:
    """Return what a scout was told, and end it."""
    assert child.stdout is not None
    assert child.stdin is not None
    orders = wire.Orders.from_line(child.stdout.readline())
    child.stdin.close()
    assert child.end(kill=False) == 0
    child.stdout.close()
    return orders


def start(starter: LocalStarter, *quarantine: str) -> ScoutProcess:
    progress = Progress.create()
    try:
        return starter.start(progress.fd, quarantine, once=True)
    finally:
        progress.close()


def test_a_scout_gets_what_was_found_right_and_not_what_stands_there_now(
    starter: LocalStarter,
) -> None:
    Path(starter.config.file).write_text("this is not TOML")
    orders = told(start(starter, "container x"))
    assert load(orders.file, orders.flags, orders.text).log.level == "error"
    assert (orders.quarantine, orders.once) == (frozenset({"container x"}), True)


def test_what_is_wrong_leaves_the_old_configuration(starter: LocalStarter) -> None:
    Path(starter.config.file).write_text("[log]\nlevel = 'loud'\n[foo]\n")
    with pytest.raises(ConfigError) as caught:
        starter.reload()
    assert len(caught.value.problems) == 2
    assert starter.config.log.level == "error"


def test_what_only_a_start_can_change_stays_and_is_said(
    starter: LocalStarter, caplog: pytest.LogCaptureFixture
) -> None:
    Path(starter.config.file).write_text(
        '[web]\nlisten_address = ":1"\n[path]\nprocfs = "/x"\n[containers]\nmax = 7\n'
    )
    new = starter.reload()
    assert (new.containers.max, new.web.max_requests) == (7, 3)
    assert new.web.listen_address == "127.0.0.1:10060"
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "web.listen_address",
        "path.procfs",
    ]
    orders = told(start(starter))
    assert load(orders.file, orders.flags, orders.text).path.procfs == "/proc"


def test_one_that_does_not_read_its_orders_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "long.toml"
    file.write_text("# long\n" * 100_000)
    starter = LocalStarter(load(str(file)), (sys.executable, "-c", "pass"))
    with pytest.raises(BrokenPipeError):
        start(starter)


def test_the_office_starts_kills_and_ends(starter: LocalStarter) -> None:
    office = _RequestHandler(starter)
    progress = Progress.create()
    request = {"do": "start", "quarantine": ["a"], "once": False}
    answer, ends = office.answer(request, [progress.fd])
    assert os.path.exists(f"/proc/{answer['pid']}")
    with os.fdopen(ends[1], "rb") as stdout:
        assert b'"quarantine": ["a"]' in stdout.readline()
        assert office.answer({"do": "kill"}, []) == ({}, [])
        assert office.answer({"do": "end", "kill": False}, []) == ({"code": -9}, [])
    os.close(ends[0])
    progress.close()


@pytest.mark.parametrize(
    "request_",
    [{"do": "run", "command": "sh"}, {"do": "start", "once": False}, {}, {"do": "end"}],
)
def test_the_office_does_nothing_else(starter: LocalStarter, request_: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError)):
        _RequestHandler(starter).answer(request_, [0])


SPLIT = """
import os, sys
from agent import wire
from agent.config import ConfigError, load
from agent.serve.launcher import LocalStarter, RemoteStarter
from agent.scout.progress import Progress

launcher = RemoteStarter(LocalStarter(load(sys.argv[1]), (sys.executable, "-c", sys.argv[2])))
progress = Progress.create()
for number in range(2):
    child = launcher.start(progress.fd, [str(number)], once=False)
    print(wire.Orders.from_line(child.stdout.readline()).quarantine)
    print(os.path.realpath(f"/proc/{child.pid}/exe") == os.path.realpath(sys.executable))
    child.kill()
    print(child.end(kill=True))
open(sys.argv[1], "w").write("[containers]\\nmax = 7")
print(launcher.reload().containers.max, launcher.config.containers.max)
open(sys.argv[1], "w").write("[containers]\\nmx = 7")
try:
    launcher.reload()
except ConfigError as error:
    print(len(error.problems), launcher.config.containers.max)
print(launcher.web_files().users)
launcher.close()
print(os.path.exists(f"/proc/{launcher.pid}"))
"""


def test_the_split_process_does_the_same(tmp_path: Path) -> None:
    # In a process of its own: whoever splits must have one thread.
    file = tmp_path / "tallyman.toml"
    file.touch()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SPLIT), str(file), ECHO],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        *("frozenset({'0'})", "True", "-9"),
        *("frozenset({'1'})", "True", "-9"),
        *("7 7", "1 7", "{}", "False"),
    ]


WHEN_SERVE_DIES = """
import os, sys
from agent.config import load
from agent.serve.launcher import LocalStarter, RemoteStarter
from agent.scout.progress import Progress

launcher = RemoteStarter(LocalStarter(load(""), (sys.executable, "-c", sys.argv[1])))
child = launcher.start(Progress.create().fd, [], once=False)
print(launcher.pid, child.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_both_end_when_serve_is_killed() -> None:
    # The pipe's other ends are theirs: it ends when they have.
    forever = "import time; time.sleep(600)"
    done = subprocess.run(
        [sys.executable, "-c", WHEN_SERVE_DIES, forever],
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    launcher, _ = map(int, done.stdout.split())
    assert done.returncode == -9
    wait_until(lambda: _has_ended(launcher), "the launcher to end with serve", 60)


def _has_ended(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE  # where nobody reaps
    return True
