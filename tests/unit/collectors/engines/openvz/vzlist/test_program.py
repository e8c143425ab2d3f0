from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from collectors.engines.openvz.vzlist import program as program_module
from collectors.engines.openvz.vzlist.errors import (
    EmptyOutput,
    Failed,
    NotRunnable,
    TimedOut,
    TooLarge,
    Unusable,
    VzlistError,
)
from collectors.engines.openvz.vzlist.program import Program
from collectors.engines.openvz.vzlist.query import Vzlist
from tests.support import CLONE
from tests.support.openvz_node import FakeVzlist, ends
from tests.support.vzlist_program import ALL, CONTAINERS, ask, script, vzlist_of


class TestFaults:
    def test_runs_without_shell_and_with_a_small_environment(
        self, fake: Callable[..., FakeVzlist], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET", "x")
        vzlist = fake(4)
        ask(vzlist_of(vzlist))
        (environment,) = vzlist.environments()
        assert environment["LC_ALL"] == "C"
        assert set(environment) <= {"LC_ALL", "PATH", "LC_CTYPE", "PWD", "SHLVL", "_"}

    def test_it_hangs(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.install(fault="hang")
        with pytest.raises(TimedOut):
            ask(vzlist_of(vzlist), 0.5)
        assert len(vzlist.calls()) <= 1

    def test_nobody_waits_any_more(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.install(fault="hang")
        stop = threading.Event()
        stop.set()
        with pytest.raises(TimedOut):
            vzlist_of(vzlist).containers(60.0, stop)

    def test_it_closes_its_output_and_hangs(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.install(fault="close and stay")
        with pytest.raises(TimedOut):
            ask(vzlist_of(vzlist), 1.0)

    def test_it_ends_and_a_child_keeps_its_output_open(
        self, fake: Callable[..., FakeVzlist]
    ) -> None:
        vzlist = fake(4)
        vzlist.install(fault="grandchild")
        assert set(ask(vzlist_of(vzlist))) == ALL[4]
        assert ends(vzlist.child())

    def test_it_prints_nothing(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.install(fault="nothing")
        with pytest.raises(EmptyOutput, match="/proc/fairsched"):
            ask(vzlist_of(vzlist))

    def test_it_fails(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.install(fault="exit 1")
        with pytest.raises(Failed, match="exit status 1: This program can only be run under root"):
            ask(vzlist_of(vzlist))

    def test_it_prints_half(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.install(fault="half")
        with pytest.raises(Unusable):
            ask(vzlist_of(vzlist))

    def test_it_prints_without_an_end(
        self, fake: Callable[..., FakeVzlist], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(program_module, "OUTPUT_LIMIT", 1 << 20)
        vzlist = fake(4)
        vzlist.install(fault="flood")
        with pytest.raises(TooLarge):
            ask(vzlist_of(vzlist))

    def test_it_prints_10000_containers(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        small = {k: CONTAINERS[4][0][k] for k in ("status", "hostname", "numproc", "ip")}
        containers = [{**small, "ctid": 1000 + n} for n in range(10_000)]
        vzlist.install(containers=containers, fields=[*small, "ctid"])
        found = ask(vzlist_of(vzlist))
        assert len(found) == 10_000
        assert found["10999"].facts.processes == 23

    def test_it_is_not_executable(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.path.chmod(0o644)
        with pytest.raises(NotRunnable):
            ask(vzlist_of(vzlist))

    def test_it_is_no_program(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.path.write_bytes(b"\x7fELF nonsense")
        with pytest.raises(NotRunnable):
            ask(vzlist_of(vzlist))

    def test_it_is_not_there(self, tmp_path: Path) -> None:
        program = Program((str(tmp_path / "vzlist"),), {})
        assert program.identity() is None
        with pytest.raises(NotRunnable):
            ask(Vzlist(program))

    def test_text_on_stderr_is_no_failure(self, tmp_path: Path) -> None:
        path = script(tmp_path, "import sys\nsys.stderr.write('x' * 300000)\nprint('[]')")
        assert ask(Vzlist(Program((str(path),), {}))) == {}

    @pytest.mark.parametrize("status", [0, 1])
    def test_no_containers_in_a_table_is_said_on_stderr(self, tmp_path: Path, status: int) -> None:
        path = script(
            tmp_path,
            "import sys\n"
            "if '-j' in sys.argv: sys.exit(\"invalid option -- 'j'\")\n"
            "sys.stderr.write('Warning: x\\nContainer(s) not found\\n')\n"
            f"sys.exit({status})",
        )
        assert ask(Vzlist(Program((str(path),), {}))) == {}

    def test_nothing_is_left_open_or_running(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        asker = vzlist_of(vzlist)
        ask(asker)
        gc.collect()  # or it may close in between what other tests have left
        before = len(os.listdir("/proc/self/fd"))
        children = psutil.Process().children()
        for fault in ("half", "exit 1", "nothing", None, "grandchild"):
            vzlist.change(fault=fault)
            try:
                ask(asker)
            except VzlistError:
                continue
        assert len(os.listdir("/proc/self/fd")) <= before
        assert set(psutil.Process().children()) <= set(children)

    def test_it_does_not_outlive_an_agent_that_is_killed(
        self, fake: Callable[..., FakeVzlist]
    ) -> None:
        vzlist = fake(4)
        vzlist.install(fault="hang and tell")
        agent = (
            "import sys, threading\n"
            "from collectors.engines.openvz.vzlist.program import Program\n"
            "Program(sys.argv[1:], {}).run((), 60.0, threading.Event())\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", agent, str(vzlist.path)], cwd=CLONE
        ) as process:
            hung = vzlist.wait_for_child()
            process.kill()
        assert ends(hung)

    def test_a_command_with_arguments(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        command = (sys.executable, "-IS", str(vzlist.path))
        assert set(ask(Vzlist(Program(command, {})))) == ALL[4]

    def test_it_is_found_in_the_path(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        program = Program(("vzlist",), {"PATH": str(vzlist.path.parent)})
        assert program.path() == str(vzlist.path)
