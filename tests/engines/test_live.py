"""Changes arrive as events: seen by an agent that does not poll, or not again."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness import bare, oci, podman, roots
from tests.engines.harness.agent import running_agent
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import Daemon, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines.harness.agent import Agent

pytestmark = pytest.mark.engine

SLEEP = ("/bin/sleep", "86400")
NEVER = ("--inventory.full-interval=1d", "--inventory.poll-interval=1d")
"""With these settings a change is only seen through an event."""


@pytest.fixture
def sleepy() -> Iterator[Agent]:
    """Return an agent that reads only after an event."""
    with running_agent(*NEVER) as agent:
        agent.wait_ready()
        yield agent


def test_podman_tells_by_its_files(sleepy: Agent) -> None:
    need("podman", "conmon", "crun", "runc")
    with podman.podman() as engine:
        made = engine.run(*SLEEP)
        sleepy.wait_row(made)
        renamed = unique("renamed")
        engine.cli("rename", made.name, renamed)
        sleepy.wait_for(lambda page: page.row(renamed), "the new name")
        engine.cli("rename", renamed, made.name)
        engine.cli("stop", "--time=0", made.name)
        sleepy.wait_row(made, state="exited")

        without_cgroup = engine.run(*SLEEP, options=("--cgroups=disabled",))
        sleepy.wait_row(without_cgroup)


def test_a_runtime_tells_by_its_state_directory(sleepy: Agent) -> None:
    need("runc", "busybox")
    with oci.runc(*SLEEP) as made:
        sleepy.wait_row(made)
    sleepy.wait_for(
        lambda page: not [r for r in page.rows() if r.name == made.name and r.state == "running"],
        "its end",
    )


def test_the_kernel_tells_of_what_has_no_engine_and_no_cgroup(tmp_path: Path) -> None:
    need("unshare", "busybox")
    root = roots.make_busybox(tmp_path / "root")
    words = ("unshare", "--mount", "--pid", "--fork", f"--root={root}")
    with running_agent(*NEVER, "--inventory.process-events") as agent:
        agent.wait_ready()
        with bare.sleeping_in("unshare", *words) as made:
            mark = f"/{made.pid}-"
            page = agent.wait_for(lambda p: [r for r in p.rows() if mark in r.id], "it on the page")
        assert page.value("tallyman_event_lag_seconds") is not None
        agent.wait_for(
            lambda p: not [r for r in p.rows() if mark in r.id and r.state == "running"], "its end"
        )


def test_an_old_process_that_becomes_a_container_in_place(tmp_path: Path) -> None:
    """The change starts and ends no process, and the container is too old to be read often."""
    need("unshare", "mkfifo", "busybox")
    root = roots.make_busybox(tmp_path / "root")
    flags = ("--inventory.full-interval=1d", "--inventory.poll-interval=200ms")
    with running_agent(*flags) as agent, workplace("in-place") as place:
        agent.wait_ready()
        os.mkfifo(place / "go")
        script = f'read go < {place}/go; exec unshare --mount --root="$0" "$@"'
        daemon = Daemon("sh", "-c", script, root, *bare.sleep(), log=place / "log")
        time.sleep(5)  # until it is old

        (place / "go").write_text("now\n")

        mark = f"/{daemon.pid}-"
        agent.wait_for(lambda p: [r for r in p.rows() if mark in r.id], "it on the page", 60)
        daemon.stop()
