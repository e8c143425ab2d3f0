from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from agent.config import load
from agent.scout.progress import Progress
from agent.serve.starter import LocalStarter
from agent.serve.supervisor import NoScoutError, Supervisor, take_once

if TYPE_CHECKING:
    from agent import wire

PATIENCE = 120.0

SCOUT = """
import os, sys, time
from agent import wire
from agent.scout.progress import Progress
from collectors.facts import HostFacts
orders = wire.Orders.from_line(sys.stdin.buffer.readline())
progress = Progress(int(sys.argv[1]))
out = sys.stdout.buffer
"""


def supervise(tmp_path: Path, body: str, *, updates: int, hang: float = 0.4) -> list[wire.Update]:
    """Run scouts of that body until so many updates have come."""
    script = tmp_path / "scout.py"
    script.write_text(SCOUT + body)
    got: list[wire.Update] = []
    enough = threading.Event()

    def receive(update: wire.Update) -> None:
        got.append(update)
        if len(got) >= updates:
            enough.set()

    starter = LocalStarter(load(""), (sys.executable, str(script)))
    supervisor = Supervisor(starter, receive, hang=hang)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        assert enough.wait(PATIENCE)
    finally:
        supervisor.stop()
        thread.join(PATIENCE)
    assert not thread.is_alive()
    return got[:updates]  # one more scout may have started before it was stopped


SAY = "wire.send(out, wire.Update(host=HostFacts(nodename=repr(sorted(orders.quarantine)))))\n"


def test_a_scout_that_dies_is_replaced(tmp_path: Path) -> None:
    got = supervise(tmp_path, SAY + "os._exit(1)", updates=2)
    assert [u.host.nodename for u in got] == ["[]", "[]"]


def test_one_that_hangs_is_replaced_and_the_culprit_left_out(tmp_path: Path) -> None:
    body = SAY + "if not orders.quarantine: progress.begin('process 42 7')\ntime.sleep(600)"
    got = supervise(tmp_path, body, updates=2)
    assert [u.host.nodename for u in got] == ["[]", "['process 42 7']"]


def test_one_that_hangs_in_the_kernel_is_not_waited_for(tmp_path: Path) -> None:
    """It does not die of SIGKILL, and keeps its end of the pipe: another process plays that."""
    body = (
        "if not orders.quarantine:\n"
        "    if os.fork() == 0: time.sleep(30); os._exit(0)\n"
        "    progress.begin('process 42 7'); time.sleep(600)\n" + SAY + "time.sleep(600)"
    )
    assert supervise(tmp_path, body, updates=1)[0].host.nodename == "['process 42 7']"


def test_one_that_has_sent_all_is_not_waited_for(tmp_path: Path) -> None:
    """Another process plays the thread that hangs, and keeps the pipe open."""
    script = tmp_path / "scout.py"
    script.write_text(
        SCOUT + SAY + "wire.send(out, wire.Ended())\n"
        "if os.fork() == 0: time.sleep(600)\n"
        "time.sleep(600)"
    )
    starter = LocalStarter(load(""), (sys.executable, str(script)))
    got: list[wire.Update] = []
    supervisor = Supervisor(starter, got.append, once=True, hang=PATIENCE)
    thread = threading.Thread(target=supervisor.run_one)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert len(got) == 1


def test_one_that_gives_up_on_a_collector_says_whom(tmp_path: Path) -> None:
    body = SAY + "wire.send(out, wire.Stuck('collector docker'))"
    got = supervise(tmp_path, body, updates=2)
    assert got[1].host.nodename == "['collector docker']"


def test_half_a_message_is_no_message(tmp_path: Path) -> None:
    body = SAY + "os.write(1, b'\\0\\0\\1\\0half'); os._exit(0)"
    got = supervise(tmp_path, body, updates=2)
    assert [u.host.nodename for u in got] == ["[]", "[]"]


class FiveLooks(threading.Event):
    """The end of a scout that the watchdog has looked at five times."""

    looks = 0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.looks += 1
        return self.looks > 5


def test_waiting_is_no_reason_to_be_killed() -> None:
    supervisor = Supervisor(LocalStarter(load("")), lambda _: None, hang=-1.0)
    progress, ended = Progress.create(), FiveLooks()
    progress.begin("x")
    progress.idle()
    supervisor._watch(progress, ended)
    assert (supervisor._quarantine, ended.looks) == ({}, 6)
    progress.begin("x")
    supervisor._watch(progress, FiveLooks())
    assert list(supervisor._quarantine) == ["x"]
    progress.close()


class NoMore(LocalStarter):
    """Starts nothing, and says so."""

    def start(self, *_: object, **__: object) -> NoReturn:
        raise AssertionError


def test_no_scout_is_started_once_it_was_stopped() -> None:
    """Whoever stops it between two scouts finds none to kill: it would be listened to for ever."""
    supervisor = Supervisor(NoMore(load("")), lambda _: None)
    supervisor.stop()
    supervisor.run_one()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the next scout without a pause."""
    monkeypatch.setattr("agent.serve.supervisor._BACKOFF_SECONDS", (0.0,))


def scouts_of(tmp_path: Path, body: str) -> LocalStarter:
    script = tmp_path / "scout.py"
    script.write_text(SCOUT + body)
    return LocalStarter(load(""), (sys.executable, str(script)))


@pytest.mark.usefixtures("at_once")
class TestWithoutAScout:
    """An agent that never sees its host must not look like a service that runs."""

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("os._exit(7)", "the scout ended with status 7"),
            (SAY + "os._exit(0)", "the scout ended with status 0"),
            ("os.kill(os.getpid(), 9)", "the scout ended by signal 9"),
        ],
    )
    def test_it_ends_when_none_lives_to_see_the_host(
        self, tmp_path: Path, body: str, reason: str
    ) -> None:
        supervisor = Supervisor(scouts_of(tmp_path, body), lambda _: None)
        with pytest.raises(NoScoutError, match=f"6 times in a row {reason}"):
            supervisor.run()

    def test_it_ends_when_none_can_be_started(self) -> None:
        starter = LocalStarter(load(""), ("/nonexistent/python",))
        with pytest.raises(NoScoutError, match=r"could not be started .*No such file"):
            Supervisor(starter, lambda _: None).run()

    def test_it_ends_when_there_is_no_memory_for_a_page(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: str) -> NoReturn:
            raise OSError(errno.ENOSYS, "no memfd_create(2)")

        monkeypatch.setattr("agent.scout.progress.memory_file", refuse)
        with pytest.raises(NoScoutError, match=r"could not be started .*no memfd_create"):
            Supervisor(NoMore(load("")), lambda _: None).run()

    def test_it_goes_on_once_a_scout_has_seen_it_all(self, tmp_path: Path) -> None:
        whole = "wire.send(out, wire.Update(host=HostFacts(), complete=True))\n"
        body = (
            f"first = not os.path.exists({str(tmp_path / 'seen')!r})\n"
            f"if first: open({str(tmp_path / 'seen')!r}, 'w'); {whole}" + SAY + "os._exit(1)"
        )
        assert len(supervise(tmp_path, body, updates=10)) == 10

    def test_one_that_hung_is_no_failure(self, tmp_path: Path) -> None:
        body = SAY + (
            "number = len(orders.quarantine)\n"
            "wire.send(out, wire.Stuck(f'process {number} 1')); os._exit(0)"
        )
        assert len(supervise(tmp_path, body, updates=9)) == 9

    def test_new_configuration_is_another_chance(self, tmp_path: Path) -> None:
        supervisor = Supervisor(scouts_of(tmp_path, "os._exit(1)"), lambda _: None)
        real, started = supervisor.run_one, 0

        def run_one() -> None:
            nonlocal started
            real()
            started += 1
            if started == 5:
                supervisor._renewed.set()

        supervisor.run_one = run_one  # type: ignore[method-assign]
        with pytest.raises(NoScoutError):
            supervisor.run()
        assert started == 5 + 6

    def test_a_single_look_says_why_it_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: str) -> NoReturn:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        monkeypatch.setattr("agent.scout.progress.memory_file", refuse)
        with pytest.raises(NoScoutError, match="Too many open files"):
            take_once(load(""), deadline=PATIENCE)
