"""The settled cases of the design, as real containers: the agent's page and one look agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.corpus.scenarios import SCENARIOS, Scenario
from tests.engines.harness.agent import ls
from tests.engines.harness.made import unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.agent import Agent, Page
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

_LIVE = (
    *("nginx", "redis", "sshd-alone", "cron-alone", "syslog-alone", "sleep", "tail", "shell"),
    *("init-nginx", "script-nginx", "supervisord-one", "exec-shell", "exec-daemons"),
    *("forged-argv", "tiny-httpd", "systemd-nginx", "systemd-full", "systemd-idle"),
    *("systemd-ssh-nginx", "script-server", "script-ssh-nginx", "dummy-sleep-server"),
    *("nginx-adopts", "runit-server", "supervisord-server", "tiny-server"),
    "busybox-init-server",
)
"""Those that need no more than the tests' own Debian and busybox."""

_SECONDS = 60


@pytest.fixture(scope="module")
def containers(dockerd: Docker) -> Iterator[dict[str, Scenario]]:
    """Give the scenarios that run, by the name of their container."""
    started = {}
    for scenario in SCENARIOS:
        if scenario.name not in _LIVE:
            continue
        image = dockerd.busybox() if scenario.image.startswith("busybox") else dockerd.debian()
        name = unique(scenario.name)
        dockerd.run(image, *scenario.command, name=name, options=scenario.options)
        for command in scenario.then:
            words = command.replace("$NAME", name).replace("'", "").split()
            dockerd.cli(*words[1:])
        started[name] = scenario
    yield started
    dockerd.remove_all()


def test_every_live_container_is_judged_right(
    containers: dict[str, Scenario], agent: Agent, dockerd: Docker
) -> None:
    def wrong(styles: dict[str, str]) -> list[str]:
        return [
            f"{name} ({scenario.about}) is {scenario.style}, not {styles.get(name)}"
            for name, scenario in containers.items()
            if styles.get(name) != scenario.style
        ]

    def right(page: Page) -> bool:
        return not wrong({row.name: row.style for row in page.rows()})

    page = agent.wait_for(right, "every style to be right", _SECONDS)
    assert len(containers) == len(_LIVE)
    once = {row.name: row.style for row in ls(f"--collector.docker.host={dockerd.endpoint}")}
    assert not wrong(once)
    for name, scenario in containers.items():
        row = page.row(name)
        assert row is not None
        for finding in scenario.findings:
            value = page.value("tallyman_container_finding", id=row.id, finding=finding)
            assert value == 1, f"{name} ({scenario.about}) lacks the finding {finding}"
