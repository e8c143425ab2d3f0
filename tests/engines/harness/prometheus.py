"""A real Prometheus that scrapes the agent."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.metrics import CATALOGUE
from tests.engines.harness.agent import free_port
from tests.engines.harness.need import need
from tests.engines.harness.programs import Daemon, wait_until, workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RULES = Path(__file__).parents[3] / "deploy/prometheus"
Series = list[tuple[dict[str, str], float]]


class Prometheus:
    """A server that scrapes one target each second."""

    def __init__(
        self,
        place: Path,
        target: str,
        rules: tuple[Path, ...] = (),
        scrape: Mapping[str, Any] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        job = {"job_name": "tallyman", "static_configs": [{"targets": [target]}], **(scrape or {})}
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [job],
            **(more or {}),
        }
        # JSON is YAML.
        (place / "prometheus.yml").write_text(json.dumps(config))
        self._address = f"127.0.0.1:{free_port()}"
        self.daemon = Daemon(
            "prometheus",
            f"--config.file={place}/prometheus.yml",
            f"--storage.tsdb.path={place}/data",
            f"--web.listen-address={self._address}",
            log=place / "prometheus.log",
        )

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self._address}"

    def api(self, path: str, **parameters: str) -> Any:
        """Query the HTTP API, and return the ``data`` of the answer."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://{self._address}{path}?{query}", timeout=60) as answer:
            return json.load(answer)["data"]

    def query(self, promql: str) -> Series:
        """Evaluate an expression now."""
        result = self.api("/api/v1/query", query=promql)["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def ready(self) -> bool:
        """Return whether it answers queries."""
        try:
            with urllib.request.urlopen(f"http://{self._address}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def wait_for(
        self, promql: str, look: Callable[[Series], object] = bool, seconds: float = 60
    ) -> Series:
        """Evaluate an expression until its result meets the condition, and return the result."""

        def pleases() -> Series | None:
            found = self.query(promql)
            return found if look(found) else None

        return wait_until(pleases, f"series of {promql}", seconds)


def promtool_objections(page: str) -> list[str]:
    """Return complaints of ``promtool check metrics`` that the catalogue does not except."""
    need("promtool")
    excused = {metric.name for metric in CATALOGUE if metric.lint}
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return [line for line in lines if line.split()[0] not in excused]


def shipped_rules(place: Path, *changes: tuple[str, str]) -> list[Path]:
    """Copy the shipped rules and alerts; each change is a text and what takes its place."""
    copies = []
    for name in ("rules.yml", "alerts.yml"):
        text = (RULES / name).read_text()
        for old, new in changes:
            text = text.replace(old, new)
        copies.append(place / name)
        copies[-1].write_text(text)
    return copies


@contextmanager
def prometheus(
    target: str,
    *rules: Path,
    scrape: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Iterator[Prometheus]:
    """Return a Prometheus that scrapes ``target`` each second.

    ``scrape`` adds settings of the job, ``more`` takes the place of whole sections.
    """
    with workplace("prometheus") as place:
        server = Prometheus(place, target, rules, scrape, more)
        try:
            server.daemon.wait_for(server.ready, "Prometheus to be ready", 120)
            yield server
        finally:
            server.daemon.stop()
