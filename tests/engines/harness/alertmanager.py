"""A real Alertmanager by the shipped example, and what it tells."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.engines.harness.agent import free_port
from tests.engines.harness.programs import Daemon, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parents[3] / "deploy/alertmanager/alertmanager.yml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One alert of one message."""

    at: float
    """When the message came, in seconds since the epoch."""
    firing: bool
    labels: dict[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """A running Alertmanager, and everything that its receivers got."""

    address: str
    told: list[Told] = field(default_factory=list)

    def section(self) -> dict[str, Any]:
        """Return the section of a Prometheus's configuration that names it."""
        return {"alerting": {"alertmanagers": [{"static_configs": [{"targets": [self.address]}]}]}}

    def fire(self, **labels: str) -> None:
        """Say that an alert fires, as Prometheus does."""
        request = urllib.request.Request(
            f"http://{self.address}/api/v2/alerts",
            data=json.dumps([{"labels": labels}]).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30):
            pass

    def of(self, alert: str) -> list[Told]:
        """Return what was told of the firing of an alert."""
        return [one for one in self.told if one.firing and one.labels["alertname"] == alert]

    def ready(self) -> bool:
        """Return whether it answers."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5):
                return True
        except OSError:
            return False


@contextmanager
def alertmanager(changes: dict[str, Any] | None = None) -> Iterator[Alertmanager]:
    """Run an Alertmanager by the example, all of whose receivers are ours.

    ``changes`` are made to its top route.
    """
    server = Alertmanager(f"127.0.0.1:{free_port()}")

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.told.extend(
                Told(
                    at=time.time(),
                    firing=alert["status"] == "firing",
                    labels=alert["labels"],
                    text=alert["annotations"].get("description", ""),
                )
                for alert in message["alerts"]
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    config = yaml.safe_load(EXAMPLE.read_text())
    config["route"] |= changes or {}
    hook = {"url": f"http://127.0.0.1:{receiver.server_port}/"}
    names = [one["name"] for one in config["receivers"]]
    config["receivers"] = [{"name": name, "webhook_configs": [hook]} for name in names]
    config["templates"] = []
    with workplace("alertmanager") as place:
        (place / "alertmanager.yml").write_text(yaml.safe_dump(config))
        daemon = Daemon(
            "prometheus-alertmanager",
            f"--config.file={place}/alertmanager.yml",
            f"--storage.path={place}/data",
            f"--web.listen-address={server.address}",
            "--cluster.listen-address=",
            log=place / "alertmanager.log",
        )
        try:
            daemon.wait_for(server.ready, "Alertmanager to be ready", 60)
            yield server
        finally:
            daemon.stop()
            receiver.shutdown()
            receiver.server_close()
