from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from agent import wire
from agent.config import load
from agent.exposition import Exposition, Options
from agent.serve.daemon import Listener, State, _trouble, page_options
from agent.serve.starter import LauncherGone
from agent.serve.supervisor import NoScoutError
from collectors.facts import HostFacts
from collectors.facts import State as State_
from collectors.hostfs import HostFS
from tests.support.snapshots import LEGACY, WEB

if TYPE_CHECKING:
    from agent.serve.supervisor import Supervisor
    from agent.web.server import WebServer


def test_the_page_changes_with_the_next_scouts_first_picture(tmp_path: Path) -> None:
    for folder in ("proc", "sys"):
        (tmp_path / folder).mkdir()
    host = HostFS(str(tmp_path / "proc"), str(tmp_path / "sys"), str(tmp_path))
    web, legacy = (
        replace(c, state=State_.EXITED, init=None, cgroups={}, finished=1.0) for c in (WEB, LEGACY)
    )
    state = State(Exposition(host, Options(), clock=lambda: 2.0))

    def names() -> tuple[bool, bool, bool]:
        page = b"".join(state.metrics(openmetrics=False))
        return (WEB.id.encode() in page, LEGACY.id.encode() in page, b"\ncontainer_" in page)

    both = frozenset({web.id, legacy.id})
    first = wire.Update(
        host=HostFacts(), changed=(web, legacy), everyone=both, complete=True, fresh=True
    )
    state.receive(first)
    assert names() == (True, True, True)
    state.configure(Options(cadvisor_names=False))
    # What the old scout still says is shown as it was.
    state.receive(replace(first, changed=(), fresh=False))
    assert names() == (True, True, True)
    # The new one's first picture comes in parts, and is shown when it is whole.
    part = replace(web, name="renamed")
    state.receive(wire.Update(host=HostFacts(), changed=(part,)))
    assert names() == (True, True, True)
    assert state.snapshot().containers[web.id] == web
    state.receive(replace(first, changed=(), everyone=frozenset({web.id})))
    assert names() == (True, False, False)
    assert state.snapshot().containers == {web.id: part}


def test_the_snapshot_is_ready_when_the_first_inventory_is_complete(tmp_path: Path) -> None:
    host = HostFS(str(tmp_path), str(tmp_path), str(tmp_path))
    state = State(Exposition(host, Options()))
    stopped = replace(WEB, state=State_.EXITED, init=None, cgroups={})
    state.receive(wire.Update(host=HostFacts(), changed=(stopped,)))
    assert (state.ready, list(state.snapshot().containers)) == (False, [WEB.id])
    everyone = frozenset({WEB.id})
    state.receive(wire.Update(host=HostFacts(), everyone=everyone, complete=True, fresh=True))
    assert (state.ready, list(state.snapshot().containers)) == (True, [WEB.id])


LOCKED_OUT = """
import importlib.machinery, sys
from agent.web.app import App
from agent.config import load
from agent.serve.daemon import _import_all
from tests.support.snapshots import LEGACY as ONE, picture

_import_all(load("", {"web.config_file": "x"}))
# What is not there by now comes neither from a file nor from anywhere else.
sys.path_importer_cache.clear()
sys.path_hooks.clear()

class State:
    ready = True
    snapshot = staticmethod(picture)

app = App(State(), load("", {}))
for path in ("/", "/containers" + ONE.id, "/-/ready", "/nowhere"):
    got = []
    app({"REQUEST_METHOD": "GET", "PATH_INFO": path}, lambda *head: got.append(head))
    print(got[0][0])
"""


def test_who_may_not_read_pythons_files_any_more_shows_every_page() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOCKED_OUT], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["200 OK", "200 OK", "200 OK", "404 Not Found"], done.stderr


class Server:
    """A web server that listens nowhere."""

    address = ("127.0.0.1", 1)
    stopped = False

    def stop(self) -> None:
        self.stopped = True


class Scouts:
    """A supervisor of nothing; ``run`` ends with ``error`` if there is one."""

    silence = 0.0

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def run(self) -> None:
        if self._error is not None:
            raise self._error


def listener(scouts: Scouts, server: Server) -> Listener:
    return Listener(cast("Supervisor", scouts), cast("WebServer", server))


def test_without_a_launcher_the_agent_ends_and_has_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server()
    thread = listener(Scouts(LauncherGone("the launcher has ended")), server)
    thread.run()
    assert (thread.exit_code, server.stopped) == (3, True)
    assert "the launcher has ended: no scout can be started without it" in caplog.text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoScoutError("6 times in a row it ended"), "6 times in a row it ended; the agent ends"),
        (ValueError("a mistake"), "no scout can be started any more; the agent ends"),
    ],
)
def test_without_a_scout_the_agent_ends_and_has_failed(
    caplog: pytest.LogCaptureFixture, error: Exception, said: str
) -> None:
    server = Server()
    thread = listener(Scouts(error), server)
    thread.run()
    assert (thread.exit_code, server.stopped) == (3, True)
    assert said in caplog.text


def test_a_supervisor_that_was_stopped_is_no_failure() -> None:
    server = Server()
    thread = listener(Scouts(), server)
    thread.run()
    assert (thread.exit_code, server.stopped) == (0, False)


def test_a_scout_or_a_web_server_that_is_silent_is_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = load("", {"inventory.poll_interval": "2s", "inventory.deadline": "10s"})
    scouts, answering = Scouts(), True

    def trouble() -> str:
        return _trouble(cast("WebServer", Server()), cast("Supervisor", scouts), config)

    def answers(*_: Any) -> bool:
        return answering

    monkeypatch.setattr("agent.serve.daemon.answers", answers)
    scouts.silence = 52.0
    assert trouble() == ""
    scouts.silence = 53.0
    assert trouble() == "nothing has been heard from the scout for 53 s"
    scouts.silence, answering = 1.0, False
    assert trouble() == "the web server does not answer"


def test_the_page_has_the_groups_that_are_switched_on() -> None:
    options = page_options(
        load("", {"collector.tcp.enabled": True, "collector.cpu.enabled": False})
    )
    assert "tcp" in options.groups
    assert "cpu" not in options.groups


def test_the_page_is_what_the_configuration_says() -> None:
    flags = {
        "metrics.cadvisor_names": False,
        "metrics.container_labels": ["team"],
        "containers.max_series": 2000,
        "containers.retention": "1m",
    }
    options = page_options(load("", flags))
    assert not options.shows("container_last_seen")
    assert options.container_labels == ("team",)
    assert (options.max_series, options.retention) == (2000, 60.0)
