"""A new configuration while the agent runs and Prometheus continues to scrape."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import Agent, Page, running_agent
from tests.engines.harness.made import unique
from tests.engines.harness.programs import wait_until, workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

CHANGED = """
[log]
level = "debug"
[containers]
exclude = [{{ name = "{group}-dropped" }}]
[metrics]
container_labels = ["team"]
[collector]
memory_detail.enabled = true
[web]
max_requests = 3
[[style_rule]]
name = "{group}-kept"
style = "system"
"""


class Scraper(threading.Thread):
    """Scrapes repeatedly, and records what each page shows of the group."""

    def __init__(self, agent: Agent, group: str) -> None:
        super().__init__(daemon=True)
        self._agent = agent
        self._group = group
        self._ended = threading.Event()
        self.seen: list[tuple[object, ...]] = []
        self.broken: list[BaseException] = []

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self.seen.append(shown(self._agent.scrape(), self._group))
            except (OSError, AssertionError) as error:
                self.broken.append(error)

    def stop(self) -> list[tuple[object, ...]]:
        self._ended.set()
        self.join(60)
        assert self.broken == []
        return self.seen


def shown(page: Page, group: str) -> tuple[object, ...]:
    """Return everything that the new configuration affects."""
    rows = {row.name: row for row in page.rows() if row.name.startswith(group)}
    kept = rows.get(f"{group}-kept")
    if kept is None:
        return ("gap",)
    memory = [
        s for s in page.samples["container_memory_working_set_bytes"] if s.labels["id"] == kept.id
    ]
    return (
        kept.style,
        f"{group}-dropped" in rows,
        [s.labels.get("container_label_team") for s in memory],
        "container_memory_dirty_bytes" in page.samples
        or "tallyman_container_memory_reclaim" in page.text,
    )


def post(agent: Agent, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=60)
    connection.request("POST", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def write(file: Path, text: str) -> None:
    """Replace a file atomically, as editors do."""
    other = file.with_suffix(".new")
    other.write_text(text)
    os.replace(other, file)


def test_every_page_is_wholly_old_or_wholly_new(docker: Docker) -> None:
    group = unique("reload")
    for name in ("kept", "dropped"):
        options = ("--label=team=blue",)
        docker.run(docker.busybox(), "sleep", "86400", name=f"{group}-{name}", options=options)
    with workplace("reload") as place:
        file = place / "tallyman.toml"
        file.write_text("")
        flags = (f"--config.file={file}", f"--collector.docker.host={docker.endpoint}")
        with running_agent(*flags, "--web.enable-lifecycle") as agent:
            agent.wait_ready(60)
            old = shown(agent.wait_for(lambda p: len(shown(p, group)) > 1, "the group", 60), group)
            assert old[:3] == ("app", True, [None])
            scraper = Scraper(agent, group)
            scraper.start()
            write(file, CHANGED.format(group=group))
            os.kill(agent.pid, signal.SIGHUP)
            page = agent.wait_for(lambda p: shown(p, group) != old, "another page", 60)
            new = shown(page, group)
            agent.wait_for(lambda p: shown(p, group) == new, "it once more", 60)
            seen = scraper.stop()

            assert new[:3] == ("system", False, ["blue"])
            assert all(page in (old, new) for page in seen)
            assert seen == [old] * seen.count(old) + [new] * seen.count(new)
            assert page.value("tallyman_config_last_reload_successful") == 1
            log = agent.daemon.output()
            assert "web.max_requests: the change holds from the next start on" in log

            succeeded = page.value("tallyman_config_last_reload_success_timestamp_seconds")
            write(file, "[containers]\nexcld = []\n[foo]\n")
            assert post(agent, "/-/reload") == 500
            page = agent.scrape()
            assert shown(page, group) == new
            assert page.value("tallyman_config_last_reload_successful") == 0
            name = "tallyman_config_last_reload_success_timestamp_seconds"
            assert page.value(name) == succeeded
            log = agent.daemon.output()
            assert f'{file}: containers.excld: unknown key; did you mean "exclude"?' in log
            assert f"{file}: foo: unknown key" in log

            # A scout that is replaced meanwhile gets the last valid configuration.
            killed = _scout(agent)
            os.kill(killed, signal.SIGKILL)

            def replaced() -> bool:
                with suppress(IndexError):  # there is none just now
                    return _scout(agent) != killed
                return False

            wait_until(replaced, "another scout")
            assert shown(agent.scrape(), group) == new

            write(file, "")
            assert post(agent, "/-/reload") == 200
            page = agent.wait_for(lambda p: shown(p, group) == old, "the old page", 60)
            assert page.value("tallyman_config_last_reload_successful") == 1


def _scout(agent: Agent) -> int:
    def child(pid: int) -> int:
        return int((_task(pid)).split()[0])

    return child(child(agent.pid))


def _task(pid: int) -> str:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as stream:
        return stream.read()


def test_it_must_be_enabled() -> None:
    with running_agent() as agent:
        assert post(agent, "/-/reload") == 403
