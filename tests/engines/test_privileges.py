"""The privileges that each of the agent's processes has, which are all that it needs."""

from __future__ import annotations

import os
import pwd
import re
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.serve.privileges import CAPABILITIES, account
from tests.engines.harness.agent import TALLYMAN, Agent, Page, running_agent
from tests.engines.harness.made import argv
from tests.engines.harness.need import need
from tests.engines.harness.programs import run, wait_until, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.dockerd import Docker
    from tests.engines.harness.made import Made

pytestmark = pytest.mark.engine

KEEPS_ALL = """
import sys
from agent.serve import privileges
from agent.cli.main import main
privileges.drop = lambda *_: None
sys.exit(main())
"""
"""For comparison, an agent whose serve keeps its privileges."""

PTRACE, SEARCH = (1 << CAPABILITIES[name] for name in ("CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"))


_HELD = ("Uid", "Gid", "Groups", "Cap", "NoNewPrivs")


def _text(path: Path) -> str:
    with suppress(OSError):  # a thread that has ended
        return path.read_text()
    return ""


class Status:
    """What /proc shows of a process and each of its threads."""

    def __init__(self, pid: int) -> None:
        threads = [
            "".join(
                sorted(line for line in text.splitlines(keepends=True) if line.startswith(_HELD))
            )
            for path in Path(f"/proc/{pid}/task").glob("*/status")
            if (text := _text(path))
        ]
        assert len(set(threads)) == 1, f"threads of {pid} hold different things: {threads}"
        words = (
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        fields = {name: value.split() for name, value in words}
        self.uids = {int(word) for word in fields["Uid"]}
        self.gids = {int(word) for word in (*fields["Gid"], *fields["Groups"])}
        self.capabilities = int(fields["CapEff"][0], 16)
        self.obtainable = int(fields["CapPrm"][0], 16) | int(fields["CapAmb"][0], 16)
        self.no_new_privileges = fields["NoNewPrivs"] == ["1"]


def processes(agent: Agent) -> dict[str, int]:
    """Return the agent's processes by role: serve starts the launcher, which starts the scout."""

    def below(pid: int) -> int:
        def child() -> int | None:
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return int(text[0]) if text else None

        return wait_until(child, f"a child of {pid}")

    launcher = below(agent.pid)
    return {"serve": agent.pid, "launcher": launcher, "scout": below(launcher)}


def is_there(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


@pytest.fixture
def web(docker: Docker) -> Made:
    return docker.run(docker.busybox(), "httpd", "-f", "-p", "8000", options=("--memory=64m",))


def of(page: Page, made: Made) -> set[str]:
    """Return the series of a container, and those of the host: names and labels."""
    row = page.row(made.name)
    assert row is not None
    lines = (line.rpartition(" ")[0] for line in page.text.splitlines() if line[0] != "#")
    # Which of the container's disks have been used depends on the moment.
    return {
        line
        for line in lines
        if (f'id="{row.id}"' in line or 'id="/"' in line)
        and "_io" not in line
        and "fs_" not in line
    }


@contextmanager
def two_agents(*flags: str) -> Iterator[tuple[Agent, Agent]]:
    """Return an agent, and one whose serve keeps everything."""
    whole = (sys.executable, "-P", "-c", KEEPS_ALL)
    with running_agent(*flags) as agent, running_agent(*flags, command=whole) as other:
        for one in (agent, other):
            one.wait_ready(60)
        yield agent, other


def both_shown(agent: Agent, other: Agent, made: Made) -> tuple[set[str], set[str]]:
    """Return the series of two agents once they are equal, or as they are after a timeout.

    Either agent may be ahead: some series come a moment after the container.
    """
    for one in (agent, other):
        one.wait_row(made)

    ours: set[str] = set()
    theirs: set[str] = set()

    def alike() -> bool:
        nonlocal ours, theirs
        ours, theirs = of(agent.scrape(), made), of(other.scrape(), made)
        return ours == theirs

    with suppress(AssertionError):
        wait_until(alike, "both to show the same")
    return ours, theirs


def test_serve_holds_nothing_and_nothing_is_missing(web: Made, docker: Docker) -> None:
    with two_agents(f"--collector.docker.host={docker.endpoint}") as (agent, whole):
        pids = processes(agent)
        serve, launcher, scout = (Status(pids[name]) for name in ("serve", "launcher", "scout"))
        ours = Status(os.getpid())
        shown, expected = both_shown(agent, whole, web)
        assert Status(whole.pid).capabilities == ours.capabilities

    _, uid, gid = account("")
    assert uid != 0
    assert (serve.uids, serve.gids) == ({uid}, {gid})
    assert (serve.capabilities, serve.obtainable, serve.no_new_privileges) == (0, 0, True)
    for other in (launcher, scout):
        assert other.uids == {0}
        assert other.capabilities == ours.capabilities
    assert shown == expected
    assert any("container_network_receive_bytes_total" in series for series in shown)
    assert any("container_memory_working_set_bytes" in series for series in shown)


def test_with_descriptors_it_keeps_what_those_take(web: Made, docker: Docker) -> None:
    with two_agents(f"--collector.docker.host={docker.endpoint}", "--collector.descriptors") as (
        agent,
        whole,
    ):
        serve = Status(agent.pid)
        shown, expected = both_shown(agent, whole, web)
        log = agent.daemon.output()
    assert serve.uids == {account("")[1]}
    assert serve.capabilities == PTRACE | SEARCH
    assert "serve keeps CAP_SYS_PTRACE: collector.descriptors" in log
    assert shown == expected
    assert any("container_file_descriptors" in series for series in shown)


def test_a_scout_that_died_is_replaced_with_all_privileges() -> None:
    need()
    with running_agent() as agent:
        agent.wait_ready(60)
        first = processes(agent)["scout"]
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: processes(agent)["scout"] != first, "another scout", 60)
        second = processes(agent)["scout"]
        wait_until(lambda: Status(second).capabilities, "its capabilities")
        assert Status(second).capabilities == Status(os.getpid()).capabilities


def test_without_the_launcher_the_agent_ends_and_says_so() -> None:
    need()
    with running_agent() as agent:
        agent.wait_ready(60)
        pids = processes(agent)
        os.kill(pids["launcher"], signal.SIGKILL)
        assert agent.daemon.process.wait(60) == 3
        assert "no scout can be started without it" in agent.daemon.output()
        wait_until(lambda: not os.path.exists(f"/proc/{pids['scout']}"), "the scout to end")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_all_end_with_serve(number: signal.Signals) -> None:
    need()
    with running_agent() as agent:
        agent.wait_ready(60)
        pids = processes(agent)
        os.kill(agent.pid, number)
        agent.daemon.process.wait(60)
        wait_until(lambda: not any(map(is_there, pids.values())), f"{pids} to end")


def test_another_user_by_name() -> None:
    need()
    with running_agent("--process.user=daemon") as agent:
        agent.wait_ready(60)
        assert Status(agent.pid).uids == {pwd.getpwnam("daemon").pw_uid}
    with running_agent("--process.user=root") as agent:
        agent.wait_ready(60)
        serve = Status(agent.pid)
    assert serve.uids == {0}
    assert (serve.capabilities, serve.obtainable, serve.no_new_privileges) == (0, 0, True)


def test_without_setuid_it_stays_root_and_says_so() -> None:
    need("setpriv")
    some = "-all,+sys_ptrace,+dac_read_search,+kill"
    bounded = ("setpriv", f"--bounding-set={some}", f"--inh-caps={some}")
    with running_agent(command=(*bounded, TALLYMAN)) as agent:
        agent.wait_ready(60)
        serve, scout = Status(agent.pid), Status(processes(agent)["scout"])
        log = agent.daemon.output()
    assert (serve.uids, serve.capabilities) == ({0}, 0)
    assert scout.capabilities & (PTRACE | SEARCH) == PTRACE | SEARCH
    assert "that takes CAP_SETUID and CAP_SETGID" in log


def test_a_user_with_some_capabilities_splits_as_well() -> None:
    """As a systemd unit does it: User=, AmbientCapabilities=."""
    need("setpriv")
    some = "+sys_ptrace,+dac_read_search"
    user = ("setpriv", "--reuid=daemon", "--clear-groups", f"--inh-caps={some}")
    with running_agent(command=(*user, f"--ambient-caps={some}", TALLYMAN)) as agent:
        agent.wait_ready(60)
        serve, scout = Status(agent.pid), Status(processes(agent)["scout"])
        # The scout is killed first when memory runs out.
        scores = [
            int(_text(Path(f"/proc/{pid}/oom_score_adj")))
            for pid in (agent.pid, processes(agent)["scout"])
        ]
        assert scores[0] < scores[1]
    assert (serve.capabilities, serve.obtainable) == (0, 0)
    assert scout.capabilities == PTRACE | SEARCH
    assert serve.uids == scout.uids == {pwd.getpwnam("daemon").pw_uid}


def test_without_privileges_there_is_nothing_to_split() -> None:
    need("setpriv")
    # Still root, so that it can read this Python, wherever that is.
    nothing = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
    with running_agent(command=(*nothing, TALLYMAN)) as agent:
        agent.wait_ready(60)
        children = "".join(map(_text, Path(f"/proc/{agent.pid}/task").glob("*/children"))).split()
        assert ["agent.scout" in argv(int(child)) for child in children] == [True]


@pytest.mark.parametrize(
    ("options", "kept"), [("hidepid=2,gid=4711", 0), ("hidepid=2", PTRACE), ("hidepid=0", 0)]
)
def test_hidden_processes(options: str, kept: int, web: Made, docker: Docker) -> None:
    with workplace("hidepid") as place:
        proc = place / "proc"
        proc.mkdir()
        run("mount", "-t", "proc", "-o", options, "proc", proc)
        flags = (f"--collector.docker.host={docker.endpoint}", f"--path.procfs={proc}")
        with running_agent(*flags) as agent:
            agent.wait_ready(60)
            agent.wait_row(web)
            page = agent.scrape()
            serve = Status(agent.pid)
            log = agent.daemon.output()
    assert serve.capabilities == kept
    assert (4711 in serve.gids) is ("gid=" in options)
    assert bool(re.search("serve keeps CAP_SYS_PTRACE: /proc is mounted", log)) is bool(kept)
    row = page.row(web.name)
    assert row is not None
    assert page.samples["container_network_receive_bytes_total"]
    found = [
        s for s in page.samples["container_network_receive_bytes_total"] if s.labels["id"] == row.id
    ]
    assert found
