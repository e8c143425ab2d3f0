from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from agent.config import load
from agent.scout.progress import Progress
from agent.serve.launcher import _RequestHandler
from agent.serve.starter import LocalStarter
from tests.engines.harness.programs import wait_until
from tests.support.scouts import ECHO


@pytest.fixture
def starter() -> LocalStarter:
    return LocalStarter(load(""), (sys.executable, "-c", ECHO))


def test_a_request_starts_kills_and_ends_a_scout(starter: LocalStarter) -> None:
    handler = _RequestHandler(starter)
    progress = Progress.create()
    request = {"do": "start", "quarantine": ["a"], "once": False}
    answer, ends = handler.answer(request, [progress.fd])
    assert os.path.exists(f"/proc/{answer['pid']}")
    with os.fdopen(ends[1], "rb") as stdout:
        assert b'"quarantine": ["a"]' in stdout.readline()
        assert handler.answer({"do": "kill"}, []) == ({}, [])
        assert handler.answer({"do": "end", "kill": False}, []) == ({"code": -9}, [])
    os.close(ends[0])
    progress.close()


@pytest.mark.parametrize(
    "request_",
    [{"do": "run", "command": "sh"}, {"do": "start", "once": False}, {}, {"do": "end"}],
)
def test_any_other_request_is_an_error(starter: LocalStarter, request_: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError)):
        _RequestHandler(starter).answer(request_, [0])


SPLIT = """
import os, sys
from agent import wire
from agent.config import ConfigError, load
from agent.serve.launcher import RemoteStarter
from agent.serve.starter import LocalStarter
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


def test_the_launcher_does_the_same_in_its_own_process(tmp_path: Path) -> None:
    # In a process of its own, as one that forks the launcher must have a single thread.
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
from agent.serve.launcher import RemoteStarter
from agent.serve.starter import LocalStarter
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
