from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model import CollectorHealth, Container, Snapshot, Style, Verdict
from agent.serve.notify import Notifier, Reporter, answers, summary
from collectors.facts import HostFacts

PATIENCE = 60.0


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(0)

    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    monkeypatch.chdir(tmp_path)  # a socket's path may have 107 bytes only
    found = Systemd("notify")
    yield found
    found.socket.close()


def test_without_systemd_nothing_is_said() -> None:
    notifier = Notifier({})
    notifier.ready()
    assert (notifier.is_connected, notifier.watchdog) == (False, None)


def test_the_life_of_a_service(systemd: Systemd) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": "notify"})
    notifier.ready()
    notifier.status("two\nlines")
    notifier.reloading()
    notifier.ready()
    notifier.stopping()

    ready, status, reloading, again, stopping = systemd.heard()
    assert (ready, again) == ("READY=1", "READY=1")
    assert status == "STATUS=two lines"
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert reloading.rpartition("=")[2].isdecimal()
    assert stopping.startswith("STOPPING=1\n")


def test_an_abstract_address() -> None:
    name = f"tallyman-test-{os.getpid()}"
    systemd = Systemd("\0" + name)
    Notifier({"NOTIFY_SOCKET": "@" + name}).ready()
    assert systemd.heard() == ["READY=1"]
    systemd.socket.close()


@pytest.mark.usefixtures("systemd")
def test_what_the_agent_starts_does_not_speak_for_it() -> None:
    environment = {"NOTIFY_SOCKET": "notify", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "", "A": "b"}
    Notifier(environment)
    assert environment == {"A": "b"}


@pytest.mark.usefixtures("systemd")
@pytest.mark.parametrize("pid", ["", str(os.getpid())])
def test_the_watchdog_is_ours(pid: str) -> None:
    environment = {"NOTIFY_SOCKET": "notify", "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": pid}
    assert Notifier(environment).watchdog == 60.0


@pytest.mark.usefixtures("systemd")
@pytest.mark.parametrize(("usec", "pid"), [("60000000", "1"), ("0", ""), ("soon", ""), ("", "")])
def test_or_it_is_not(usec: str, pid: str) -> None:
    environment = {"NOTIFY_SOCKET": "notify", "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}
    assert Notifier(environment).watchdog is None


def test_a_socket_that_is_gone_stops_nobody(systemd: Systemd, tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": "notify"})
    systemd.socket.close()
    notifier.ready()
    assert not Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).is_connected


def test_alive_is_said_only_while_every_loop_advances(
    systemd: Systemd, caplog: pytest.LogCaptureFixture
) -> None:
    trouble = ""
    reporter = Reporter(
        Notifier({"NOTIFY_SOCKET": "notify"}), lambda: "all is well", lambda: trouble
    )
    reporter.report()
    reporter.report()
    assert systemd.heard() == ["WATCHDOG=1", "STATUS=all is well", "WATCHDOG=1"]

    trouble = "the web server does not answer"
    reporter.report()
    reporter.report()
    assert systemd.heard() == [f"STATUS={trouble}"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]

    trouble = ""
    reporter.report()
    assert systemd.heard() == ["WATCHDOG=1", "STATUS=all is well"]


def test_reports_come_in_time_and_end(systemd: Systemd) -> None:
    environment = {"NOTIFY_SOCKET": "notify", "WATCHDOG_USEC": "30000"}
    reports = []
    thrice, stopped = threading.Event(), threading.Event()

    def status() -> str:
        reports.append(1)
        if len(reports) == 3:
            # It waits, or it would fill the socket of a test that is slow to listen.
            thrice.set()
            stopped.wait(PATIENCE)
        return "well"

    reporter = Reporter(Notifier(environment), status, str)
    reporter.start()
    assert thrice.wait(PATIENCE)
    reporter.stop()
    stopped.set()
    messages = systemd.heard()
    assert messages[:4] == ["WATCHDOG=1", "STATUS=well", "WATCHDOG=1", "WATCHDOG=1"]
    assert messages[4].startswith("STOPPING=1")


def test_the_status_counts_what_is_there() -> None:
    def container(name: str, style: Style, *, gone: bool = False) -> Container:
        return Container(id=name, engine="lxc", verdict=Verdict(style=style), gone=gone)

    snapshot = Snapshot(
        host=HostFacts(),
        complete=True,
        containers={
            "/a": container("/a", Style.APP),
            "/b": container("/b", Style.APP),
            "/c": container("/c", Style.SYSTEM),
            "/d": container("/d", Style.SYSTEM, gone=True),
        },
        collectors=(
            CollectorHealth(name="docker", success=False, duration_seconds=0, last_success=None),
            CollectorHealth(name="lxc", success=True, duration_seconds=0, last_success=1),
        ),
    )
    assert summary(snapshot) == "3 containers: 2 app, 1 system; failing: docker"
    assert summary(Snapshot(host=HostFacts(), containers={}, complete=True)) == "0 containers"
    assert "first time" in summary(Snapshot(host=HostFacts(), containers={}))


def test_any_answer_will_do() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        address = server.getsockname()

        def refuse() -> None:
            client, _ = server.accept()
            client.recv(1024)
            client.sendall(b"HTTP/1.1 503")
            client.close()

        thread = threading.Thread(target=refuse)
        thread.start()
        assert answers(address, PATIENCE)
        thread.join()
        assert not answers(address, 0.05)  # it listens, but nobody answers any more
    assert not answers(address)
