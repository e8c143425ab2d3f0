"""The agent without the system calls that newer kernels added, beside itself with all of them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.harness import oci, podman, systems
from tests.engines.harness.agent import running_agent, tallyman_under
from tests.engines.harness.made import Made, unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import run
from tests.support.old_kernel import LAST_CALL

if TYPE_CHECKING:
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

SLEEP = ("/bin/sleep", "86400")
VARIES = ("last_seen", "created")
"""Before statx(2) the last change of a folder stands for its birth."""


def _listed(kernel: str, made: list[Made]) -> list[dict[str, Any]]:
    """Return what ``ls`` shows of the containers that were made here, without what changes."""
    words = (tallyman_under(kernel), "ls", "--all", "--json")
    names = {one.name for one in made}
    rows = [row for row in json.loads(run(*words)) if row["name"] in names]
    return [{key: row[key] for key in row if key not in VARIES} for row in rows]


def test_no_container_and_no_fact_is_lost(docker: Docker) -> None:
    need("podman", "conmon", "containerd", "ctr", "runc", "lxc-start", "systemd-nspawn", "busybox")
    with ExitStack() as stack:
        enter = stack.enter_context
        image = docker.busybox()
        made = [docker.run(image, *SLEEP, name=unique("runs"))]
        made.append(docker.run(image, *SLEEP, name=unique("ended")))
        docker.cli("kill", made[-1].name)
        engine = enter(podman.podman())
        made.append(engine.run(*SLEEP))
        made.append(engine.run("/bin/true"))
        made.append(enter(oci.containerd(*SLEEP)))
        made.append(enter(oci.runc(*SLEEP, own_root=True)))
        made.append(enter(systems.lxc(*SLEEP)))
        made.append(enter(systems.nspawn(*SLEEP)))

        today = _listed("", made)
        assert len(today) == len(made)
        for kernel in ("3.10", "5.4"):
            assert _listed(kernel, made) == today, kernel


@pytest.mark.parametrize("kernel", list(LAST_CALL["x86_64"]))
def test_the_daemon_starts_and_stays(docker: Docker, kernel: str) -> None:
    made = docker.run(docker.busybox(), *SLEEP, name=unique("old"))
    with running_agent(command=(tallyman_under(kernel),)) as agent:
        agent.wait_ready()
        row = agent.wait_row(made, style="app")
        assert agent.scrape().value("container_memory_usage_bytes", id=row.id)
