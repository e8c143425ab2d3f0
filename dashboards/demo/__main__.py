"""``python -m dashboards.demo``: a Prometheus with a fleet in it, to look at the dashboards."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from dashboards.build import TARGET
from dashboards.demo.cast import MACHINES
from dashboards.demo.history import write_history
from dashboards.demo.live import Live
from dashboards.demo.roster import HOUR
from dashboards.demo.server import DemoError, Prometheus
from dashboards.demo.world import World

_STEP = 60.0
_AHEAD = 150.0
"""How far in the future the history ends: about then its rules are evaluated, and life goes on."""


def main() -> int:
    """Make the history, start Prometheus, and keep the hosts alive until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="dashboards.demo", description=__doc__)
    parser.add_argument("--listen-address", default="127.0.0.1:9090", help="of Prometheus")
    parser.add_argument("--hours", type=float, default=6, help="length of the history")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="tallyman-demo-") as place:
        try:
            _run(Path(place), options.listen_address, options.hours * HOUR)
        except DemoError as error:
            sys.stderr.write(f"tallyman demo: {error}\n")
            return 1
        except KeyboardInterrupt:
            pass
    return 0


def _run(place: Path, address: str, length: float) -> None:
    end = (time.time() + _AHEAD) // _STEP * _STEP
    world = World(end, -length)
    ports = {machine.instance: _free_port() for machine in MACHINES}
    targets = {instance: f"127.0.0.1:{port}" for instance, port in ports.items()}
    prometheus = Prometheus(place, address, targets, _STEP)
    _say(f"making {length / HOUR:g} hours of history …")
    history = place / "history.om"
    with history.open("w", encoding="utf-8") as out:
        write_history(out, world, _STEP)
    prometheus.load(history)
    history.unlink()
    live = Live(world, ports)
    try:
        _say("evaluating the recording rules over it …")
        prometheus.record(end - length, end)
        time.sleep(max(0, end - time.time()))
        live.start()
        prometheus.start()
        _say(
            f"Prometheus answers at {prometheus.url}, with the alerts at /alerts.\n"
            f"The dashboards are in {TARGET}; a Grafana of yours shows them:\n"
            "  deploy/grafana/README.md says how to provision them, or import the six files.\n"
            "Ctrl-C ends it and leaves nothing behind."
        )
        while True:
            time.sleep(3600)
    finally:
        prometheus.stop()
        live.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
