"""A Prometheus of the demo's own on loopback: history first, then it scrapes the made-up hosts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from dashboards.demo.history import JOB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = DEPLOY / "rules.yml"
ALERTS = DEPLOY / "alerts.yml"
_START_SECONDS = 60


def waves(rules: str) -> Iterator[str]:
    """Return the rules as files of which each reads only what those before it record.

    Prometheus evaluates a group rule by rule, but promtool does not see what it records itself.
    """
    found = re.split(r"^      - (?=record: )", rules, flags=re.MULTILINE)[1:]
    left = {
        rule.split(maxsplit=2)[1]: re.split(r"^\n|^  - ", rule, flags=re.MULTILINE)[0]
        for rule in found
    }
    reads = {
        name: set(re.findall(r"[\w:]+", rule.partition("expr:")[2])) for name, rule in left.items()
    }
    while left:
        wave = [name for name in left if not reads[name] & left.keys()]
        body = "".join(f"      - {left.pop(name)}" for name in wave)
        yield f"groups:\n  - name: wave\n    rules:\n{body}"


class DemoError(Exception):
    """The demo cannot go on; the message says what to do."""


class Prometheus:
    """One server with a folder of its own."""

    def __init__(self, place: Path, address: str, targets: Mapping[str, str], step: float) -> None:
        for program in ("prometheus", "promtool"):
            if shutil.which(program) is None:
                raise DemoError(f"{program} is missing. As root: apt-get install prometheus")
        self._place = place
        self._address = address
        self._step = f"{step:.0f}s"
        self._data = place / "data"
        self._config = place / "prometheus.yml"
        self._process: subprocess.Popen[bytes] | None = None
        self._config.write_text(json.dumps(self._settings(targets)), encoding="utf-8")

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self._address}"

    @property
    def pid(self) -> int:
        """Its process; only while it runs."""
        if self._process is None:
            raise DemoError("Prometheus does not run")
        return self._process.pid

    def _settings(self, targets: Mapping[str, str]) -> dict[str, object]:
        # JSON is YAML.
        return {
            # As the provisioned data source believes; the history has a sample each minute.
            "global": {"scrape_interval": "30s", "evaluation_interval": self._step},
            "rule_files": [str(RULES), str(ALERTS)],
            "scrape_configs": [
                {
                    "job_name": JOB,
                    "static_configs": [
                        {"targets": [address], "labels": {"instance": instance}}
                        for instance, address in targets.items()
                    ],
                }
            ],
        }

    def load(self, history: Path) -> None:
        """Turn a history into blocks of the database."""
        self._promtool("tsdb", "create-blocks-from", "openmetrics", str(history), str(self._data))

    def record(self, begin: float, end: float) -> None:
        """Evaluate the recording rules over the history, as they would have been then."""
        for wave in waves(RULES.read_text(encoding="utf-8")):
            rules = self._place / "wave.yml"
            rules.write_text(wave, encoding="utf-8")
            self.start()
            self._promtool(
                "tsdb",
                "create-blocks-from",
                "rules",
                f"--url={self.url}",
                f"--start={begin:.0f}",
                f"--end={end:.0f}",
                f"--eval-interval={self._step}",
                f"--output-dir={self._data}",
                str(rules),
            )
            self.stop()

    def _promtool(self, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603
            ["promtool", *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DemoError(f"promtool failed: {(done.stderr or done.stdout).strip()[-500:]}")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        arguments: Sequence[str] = (
            "prometheus",
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._data}",
            f"--web.listen-address={self._address}",
            # History has no marks of staleness: what ended would be seen for five minutes more.
            f"--query.lookback-delta={int(self._step[:-1]) * 3 // 2}s",
        )
        log = (self._place / "prometheus.log").open("ab")
        with log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log)  # noqa: S603
        until = time.monotonic() + _START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise DemoError(f"Prometheus did not start, see {log.name}")
            time.sleep(0.2)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2):  # noqa: S310
                return True
        except OSError:
            return False

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
