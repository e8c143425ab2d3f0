"""``python -m tests.bench.fleet``: what rules and boards of many hosts cost a real Prometheus.

The hosts are copies of the demo's three. Compare the ratios to the floor, which counts the
containers, and CPU time rather than seconds: those depend on the machine's other load.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import yaml

from dashboards.demo.server import RULES, Prometheus, waves
from dashboards.demo.world import World
from dashboards.theme import Uid
from tests.dashboards.queries import dashboards, fill, panels
from tests.engines.harness.agent import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

END = 1_790_000_000.0 // 300 * 300
STEP = 60.0
RAW_SECONDS = 900.0
"""History of what is scraped: the rules look back five minutes, twice."""
RANGE = 3600.0
SCREEN_STEP = 30.0
"""Between the points of a graph of an hour, with the data source as it is provisioned."""
FLOOR = "count(tallyman_container_info)"
_OFTEN = 50
"""The kernel counts CPU time in hundredths of a second."""
MANY = (Uid.FLEET, Uid.APP, Uid.SYSTEM)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one thing cost Prometheus."""

    name: str
    cpu: float
    seconds: float
    series: int


def write_raw(out: TextIO, hosts: int) -> None:
    """Write what is scraped from this many hosts."""
    world = World(END, -RAW_SECONDS)
    at = world.begin
    while at <= 0:
        world.advance(at, STEP)
        pages = [page for _, page in world.pages(at, STEP) if page is not None]
        when = f"{END + at:.0f}"
        for number in range(hosts):
            page = pages[number % len(pages)]
            target = f'job="tallyman",instance="host-{number}:10060"'
            out.write(f"up{{{target}}} 1 {when}\n")
            out.writelines(
                f"{name}{{{target}{',' if labels else ''}{labels}}} {value:.15g} {when}\n"
                for name, labels, value in page.samples
            )
        at += STEP
    out.write("# EOF\n")


def write_recorded(out: TextIO, name: str, result: list[dict[str, Any]]) -> None:
    """Write an hour of what a rule records, as it is at the end."""
    for row in result:
        pairs = row["metric"].items()
        labels = ",".join(f"{key}={json.dumps(value)}" for key, value in pairs if key[0] != "_")
        value = row["value"][1]
        at = END - RANGE
        while at <= END:
            out.write(f"{name}{{{labels}}} {value} {at:.0f}\n")
            at += STEP


@dataclass(slots=True)
class Measured:
    """A running Prometheus that says what a query costs it."""

    server: Prometheus

    def ask(self, path: str, **parameters: str) -> tuple[list[dict[str, Any]], float, float]:
        """Ask, and return the result, CPU time and seconds."""
        body = urllib.parse.urlencode(parameters).encode()
        begin, cpu = time.monotonic(), self._cpu()
        url = f"{self.server.url}/api/v1/{path}"
        with urllib.request.urlopen(url, body, timeout=600) as answer:
            text = answer.read()
        took, used = time.monotonic() - begin, self._cpu() - cpu
        result: list[dict[str, Any]] = json.loads(text)["data"]["result"]
        return result, used, took

    def _cpu(self) -> float:
        stat = Path(f"/proc/{self.server.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(stat[11]) + int(stat[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def now(self, name: str, expr: str) -> tuple[Cost, list[dict[str, Any]]]:
        """Ask for the end of the history."""
        result, cpu, took = self.ask("query", query=expr, time=f"{END:.0f}")
        return Cost(name, cpu, took, len(result)), result

    def floor(self) -> tuple[Cost, str]:
        """Return what it costs to count the containers, and how many there are."""
        asked = [self.now("floor", FLOOR) for _ in range(_OFTEN)][1:]
        cpu = sum(cost.cpu for cost, _ in asked) / len(asked)
        seconds = sum(cost.seconds for cost, _ in asked) / len(asked)
        return Cost("floor", cpu, seconds, 1), asked[0][1][0]["value"][1]

    def panel(self, panel: dict[str, Any]) -> Cost:
        """Ask what a panel asks."""
        cpu = seconds = 0.0
        series = 0
        for target in panel["targets"]:
            expr = fill(target["expr"])
            if target.get("instant"):
                result, used, took = self.ask("query", query=expr, time=f"{END:.0f}")
            else:
                span = {"start": f"{END - RANGE:.0f}", "end": f"{END:.0f}"}
                step = f"{SCREEN_STEP:.0f}"
                result, used, took = self.ask("query_range", query=expr, step=step, **span)
            cpu, seconds, series = cpu + used, seconds + took, series + len(result)
        return Cost(panel["title"], cpu, seconds, series)


def round_of_rules(measured: Measured, place: Path) -> list[Cost]:
    """Evaluate each rule once, and make its history; what reads it comes in the next wave."""
    costs = []
    for wave in waves(RULES.read_text(encoding="utf-8")):
        history = place / "recorded.om"
        with history.open("w") as out:
            for rule in yaml.safe_load(wave)["groups"][0]["rules"]:
                cost, result = measured.now(rule["record"], rule["expr"])
                costs.append(cost)
                write_recorded(out, rule["record"], result)
            out.write("# EOF\n")
        measured.server.stop()
        measured.server.load(history)
        history.unlink()
        measured.server.start()
    return costs


def report(title: str, costs: list[Cost], floor: Cost, worst: int) -> Iterator[str]:
    """Return rows of a table: all together, and those that cost most."""
    everything = Cost(
        title,
        sum(c.cpu for c in costs),
        sum(c.seconds for c in costs),
        sum(c.series for c in costs),
    )
    for cost in (everything, *sorted(costs, key=lambda c: -c.cpu)[:worst]):
        ratio = cost.cpu / max(floor.cpu, 0.0005)
        yield (
            f"| {cost.name} | {cost.cpu:.3f} | {cost.seconds:.2f} | {ratio:.0f} | {cost.series} |"
        )


def measure(hosts: int, worst: int) -> Iterator[str]:
    """Measure with this many hosts."""
    with tempfile.TemporaryDirectory(prefix="tallyman-fleet-") as folder:
        place = Path(folder)
        server = Prometheus(place, f"127.0.0.1:{free_port()}", {}, STEP)
        raw = place / "raw.om"
        with raw.open("w") as out:
            write_raw(out, hosts)
        server.load(raw)
        raw.unlink()
        server.start()
        measured = Measured(server)
        try:
            floor, count = measured.floor()
            yield f"### {hosts} hosts, {count} containers\n"
            yield "| | CPU s | seconds | of floor | series |\n| --- | --: | --: | --: | --: |"
            yield from report("floor: count the containers", [floor], floor, 0)
            rules = round_of_rules(measured, place)
            yield from report("**a round of all rules**", rules, floor, worst)
            for uid in MANY:
                board = dashboards()[uid]
                costs = [measured.panel(panel) for panel in panels(board)]
                yield from report(f"**all of {board['title']}**", costs, floor, worst)
        finally:
            server.stop()


def main() -> int:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fleet", description=__doc__)
    parser.add_argument("hosts", nargs="*", type=int, default=[200, 600])
    parser.add_argument("--worst", type=int, default=3, help="how many to list one by one")
    options = parser.parse_args()
    for hosts in options.hosts:
        for line in measure(hosts, options.worst):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
