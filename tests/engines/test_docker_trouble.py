"""Docker in trouble or in bad company: what was known stays, and so does the collector."""

from __future__ import annotations

import shutil
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import ls, watchful_agent
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import Daemon, run, wait_until, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.agent import Page, Row
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

USERS_DAEMONS = 14
NOBODY = 65534

# Each answers whoever connects with a byte each 1.5 seconds, for ever.
TRICKLE = r"""
use IO::Socket::UNIX;
$SIG{CHLD} = "IGNORE";
my $listener = IO::Socket::UNIX->new(Type => SOCK_STREAM(), Local => $ARGV[0], Listen => 5) or die;
while (my $client = $listener->accept) {
    next if fork;
    syswrite $client, "HTTP/1.1 200 OK\r\nX-A: ";
    while (syswrite $client, "x") { select undef, undef, undef, 1.5; }
    exit;
}
"""


def test_a_restart_loop_fails_no_collector(docker: Docker) -> None:
    """For each start runc runs dockerd's binary as a hook, which listens on nothing."""
    image = docker.busybox()
    quiet = docker.run(image, "sleep", "86400")
    with watchful_agent(docker.endpoint) as agent:
        agent.wait_row(quiet)
        loop = docker.run(image, "sleep", ".1", options=("--restart=always",))
        failures = []

        def has_restarted(page: Page) -> bool:
            if page.value("tallyman_collector_success", collector="docker") != 1:
                failures.append(page.text)
            row = page.row(loop.name)
            return row is not None and docker.inspect(loop.name)["RestartCount"] >= 6

        agent.wait_for(has_restarted, "six restarts", 120)
        docker.cli("rm", "--force", loop.name)
        output = agent.daemon.output()

    assert not failures
    assert "does not listen" not in output


@contextmanager
def frozen(docker: Docker) -> Iterator[None]:
    """Let a daemon take its time: its socket is there, its answers are not."""
    assert docker.daemon
    docker.daemon.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        docker.daemon.process.send_signal(signal.SIGCONT)


def test_a_daemon_that_does_not_answer_yet_is_read_from_disk(mortal: Docker) -> None:
    image = mortal.busybox()
    runs = mortal.run(image, "sleep", "86400")
    ended = mortal.run(image, "true")
    mortal.cli("wait", ended.name)

    assert mortal.daemon
    with frozen(mortal):
        rows = {row.name: row for row in ls()}
        with watchful_agent(mortal.endpoint) as agent:
            agent.wait_row(runs)
            agent.wait_row(ended, state="exited")
            assert _image(agent.scrape(), runs.name) == image
            assert f"docker {mortal.socket} answers late" in agent.daemon.output()
            mortal.daemon.process.send_signal(signal.SIGCONT)
            agent.wait_for(_succeeds, "the answer", 90)
            row = agent.wait_row(runs)
            assert row.id == rows[runs.name].id
            # What its API alone tells is asked for again after the time-out.
            agent.wait_for(lambda page: _image_size(page, row), "the size of its image", 90)

    assert rows[runs.name].engine == "docker"
    assert (rows[ended.name].engine, rows[ended.name].state) == ("docker", "exited")


def test_a_socket_that_is_hidden_and_comes_back(mortal: Docker) -> None:
    """Its path is gone, the daemon is not: all that is on disk is read again and again."""
    image = mortal.busybox()
    check = ("--health-cmd=test -e /well", "--health-interval=1s", "--health-retries=1")
    made = mortal.run(image, "sleep", "86400", options=check)
    ends = mortal.run(image, "sleep", "86400")
    well = Path(f"/proc/{made.pid}/root/well")
    hidden = mortal.socket.with_name("hidden.sock")
    mortal.socket.rename(hidden)
    try:
        with watchful_agent(mortal.endpoint) as agent:
            row = agent.wait_row(made)
            assert row.engine == "docker"
            assert _image(agent.scrape(), made.name) == image
            agent.wait_for(lambda page: _succeeds(page) is False, "the failure to be reported")
            well.touch()
            agent.wait_for(lambda page: _health(page, row) == "healthy", "its good health", 90)
            well.unlink()
            agent.wait_for(lambda page: _health(page, row) == "unhealthy", "its bad health", 90)
            run("docker", "--host", f"unix://{hidden}", "kill", ends.name)
            agent.wait_row(ends, state="exited", seconds=90)
            assert _image_size(agent.scrape(), row) is None
            hidden.rename(mortal.socket)
            page = agent.wait_for(lambda page: _image_size(page, row), "the API's word", 120)
            assert page.row(made.name) == agent.wait_row(made)
            agent.wait_for(_succeeds, "the collector's success", 90)
            later = mortal.run(image, "sleep", "86400")
            agent.wait_row(later, seconds=90)
            assert agent.wait_row(made).id == row.id
    finally:
        if hidden.exists():
            hidden.rename(mortal.socket)


def test_what_a_daemon_told_is_kept_while_it_takes_its_time(mortal: Docker) -> None:
    image = mortal.busybox()
    runs = mortal.run(image, "sleep", "86400")
    with watchful_agent(mortal.endpoint) as agent:
        row = agent.wait_row(runs)
        agent.wait_for(lambda page: _image_size(page, row), "the size of its image")
        size = _image_size(agent.scrape(), row)
        with frozen(mortal):
            for _ in range(10):
                page = agent.scrape()
                assert page.row(runs.name) == row
                assert _image_size(page, row) == size
                time.sleep(0.5)
        later = mortal.run(image, "sleep", "86400")
        agent.wait_row(later, seconds=90)
        agent.wait_for(_succeeds, "the answer", 90)
        assert _image_size(agent.scrape(), row) == size


def test_users_daemons_that_trickle_cost_only_themselves(docker: Docker) -> None:
    need("perl", "setpriv")
    first = docker.run(docker.busybox(), "sleep", "86400")
    with (
        workplace("users") as place,
        users_daemons(place),
        watchful_agent(docker.endpoint) as agent,
    ):
        agent.wait_row(first)
        agent.wait_for(_succeeds, "the collector's success")
        until = time.monotonic() + 10
        while time.monotonic() < until:
            made = docker.run(docker.busybox(), "sleep", "86400", name=unique("later"))
            agent.wait_row(made)
            page = agent.scrape()
            assert page.value("tallyman_collector_success", collector="docker") == 1
            assert (page.value("tallyman_collector_duration_seconds", collector="docker") or 0) < 9
            docker.cli("rm", "--force", made.name)


@contextmanager
def users_daemons(place: Path) -> Iterator[None]:
    """Start the daemons of a user whose binary is called dockerd."""
    binary = place / "dockerd"
    shutil.copy("/usr/bin/perl", binary)
    script = place / "trickle.pl"
    script.write_text(TRICKLE)
    for path in (place, binary, script):
        path.chmod(0o755)
    shutil.chown(place, NOBODY, NOBODY)
    sockets = [place / f"{number}.sock" for number in range(USERS_DAEMONS)]
    drop = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    daemons = [Daemon(*drop, binary, script, path, log=place / "log") for path in sockets]
    try:
        wait_until(lambda: all(path.exists() for path in sockets), "the users' daemons")
        yield
    finally:
        for daemon in daemons:
            daemon.stop(signal.SIGKILL)


def _succeeds(page: Page) -> bool:
    return page.value("tallyman_collector_success", collector="docker") == 1


def _health(page: Page, row: Row) -> str:
    samples = page.samples.get("tallyman_container_health", [])
    return next((s.labels["health"] for s in samples if s.labels["id"] == row.id), "")


def _image(page: Page, name: str) -> str:
    samples = page.samples["tallyman_container_info"]
    return next(s.labels["image"] for s in samples if s.labels.get("name") == name)


def _image_size(page: Page, row: Row) -> float | None:
    return page.value("tallyman_container_image_size_bytes", id=row.id)
