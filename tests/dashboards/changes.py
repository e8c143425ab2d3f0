"""The history of a host on which everything happens that changes the labels of a container.

It has no marks of staleness, as if Prometheus itself had been restarted at each change: for some
minutes, and for as long as a range reaches back, what was and what is exist side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TextIO

from agent.metrics import BY_NAME
from tests.dashboards.queries import PROMETHEUS_ALERTS, PROMETHEUS_OWN, labels_of, recordings

MINUTE = 60.0
HOUR = 3600.0
RENAMED, TURNED, RESTARTED, ENDED, RECREATED = (-50 * MINUTE + n * 10 * MINUTE for n in range(5))
"""When it happened, in seconds before the end."""
CHANGES = (RENAMED, TURNED, RESTARTED, ENDED, RECREATED)
JOBS = ("tallyman", "tallyman-canary")
"""Two jobs scrape the same host."""
INSTANCE = "host-1:10060"
_BEGIN = -8 * HOUR
_SELDOM = 5 * MINUTE
"""Between samples of the hours before: alerts look back seven hours."""
_OF_HOST = frozenset({"boot_id", "kernel", "version"})
"""Labels of a host that its reboot or an update of the agent changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """The labels of one container at one moment."""

    id: str
    name: str
    image: str
    engine: str
    style: str
    expected_style: str
    state: str = "running"
    health: str = "healthy"
    finding: str = "logged_into"
    again: bool = False
    """It was restarted: its counters began anew."""

    def labels(self) -> dict[str, str]:
        return {
            "id": self.id,
            "name": self.name,
            "image": self.image,
            "engine": self.engine,
            "style": self.style,
            "expected_style": self.expected_style,
            "state": self.state,
            "health": self.health,
            "finding": self.finding,
        }


WEB = _Look(
    id="/docker/1", name="web", image="nginx:1", engine="docker", style="app", expected_style="app"
)
DB = _Look(
    id="/machine.slice/2",
    name="db.example",
    image="debian-12",
    engine="openvz",
    style="system",
    expected_style="system",
)


def _at(look: _Look, at: float) -> _Look:
    if at >= RENAMED:
        look = replace(look, name=f"{look.name}_old")
    if at >= TURNED:
        style = "system" if look.style == "app" else "app"
        look = replace(look, style=style, finding="privileged", health="unhealthy")
    if at >= RESTARTED:
        # Its restart fails at first.
        look = replace(look, again=True, state="restarting")
    if at >= RESTARTED + MINUTE:
        look = replace(look, state="exited")
    if at >= RESTARTED + 2 * MINUTE:
        look = replace(look, state="running")
    if at >= ENDED:
        look = replace(look, state="exited")
    if at >= RECREATED:
        look = replace(
            look,
            id=f"{look.id}0",
            name=look.name.removesuffix("_old"),
            image=f"{look.image}.1",
            state="running",
        )
    return look


def _metrics() -> list[str]:
    return [*BY_NAME, *PROMETHEUS_OWN, *PROMETHEUS_ALERTS, *recordings()]


@cache
def _variants(metric: str) -> tuple[Mapping[str, str], ...]:
    """Return labels that say neither who nor where, as often as a container has the metric."""
    labels = labels_of(metric)
    if "device" in labels or "interface" in labels:
        key = "device" if "device" in labels else "interface"
        return ({key: "0"}, {key: "1"})
    if "failure_type" in labels:
        return tuple(
            {"failure_type": kind, "scope": "container"} for kind in ("pgfault", "pgmajfault")
        )
    if "resource" in labels:
        return tuple({"resource": kind} for kind in ("memory", "cpu", "numproc"))
    if "alertstate" in labels:
        return ({"alertstate": "firing"},)
    return ({},)


def _value(metric: str, at: float, end: float, started: float) -> float:
    if metric in BY_NAME and BY_NAME[metric].type == "counter":
        return (at - started) * 2
    if metric.endswith(("_timestamp_seconds", "_created_seconds", "_finished_seconds")):
        return end - 9 * HOUR
    if metric.endswith(("_started_seconds", "start_time_seconds", "last_seen")):
        # It is started again every other minute, all the time.
        return end + at // (2 * MINUTE) * 2 * MINUTE
    return at >= TURNED if metric == "tallyman_container_mismatch" else 1


def _samples(metric: str, at: float, end: float) -> Iterator[tuple[dict[str, str], float]]:
    wanted = labels_of(metric)
    looks = [_at(look, at) for look in (WEB, DB)]
    host = dict.fromkeys(_OF_HOST, "after" if at >= RESTARTED else "before")
    started = [RESTARTED if look.again else _BEGIN for look in looks]
    if "id" in wanted and metric in BY_NAME and metric.startswith("container_"):
        yield {"id": "/"}, _value(metric, at, end, _BEGIN)
    # What has no id is of a host, or of what is one of a kind there.
    of_host = not wanted & {"id", "engine", "style"}
    for look, began in zip(looks, started, strict=True):
        have = {"severity": "warning", "alertname": "TallymanContainerThrottled"} | host
        have |= look.labels()
        yield (
            {label: have.get(label, "x") for label in wanted - {"job", "instance"}},
            _value(metric, at, end, began),
        )
        if of_host:
            return


def write_changes(out: TextIO, end: float) -> None:
    """Write the history as OpenMetrics with timestamps, for promtool."""
    begin, last_hours = int(_BEGIN), int(-2 * HOUR)
    moments = [*range(begin, last_hours, int(_SELDOM)), *range(last_hours, 1, int(MINUTE))]
    for at in moments:
        for metric in _metrics():
            lines = {
                _labels({**labels, **more, "job": job, "instance": INSTANCE}): value
                for labels, value in _samples(metric, at, end)
                for more in _variants(metric)
                for job in JOBS
            }
            # One kind of container after a turn of both: the same labels once.
            out.writelines(
                f"{metric}{{{labels}}} {value:.0f} {end + at:.0f}\n"
                for labels, value in lines.items()
            )
    out.write("# EOF\n")


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
