"""Writes docs/benchmark.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.whole import Result

_INTRODUCTION = """\
# What it costs

Written by `make bench` on {date}: {machine}. The containers are idle. Other work on the machine
slows every figure alike, so compare the ratios.

## A scrape by its parts

Microseconds of CPU time, user and system, per container and scrape. *Floor* is the cost of bare
preads of the same files in the same run: cgroup files through descriptors that stay open, and
`/proc/<pid>/net/dev`, which is opened and closed, because an open descriptor would pin a dead
container. *Read* is all reading, with the host's own counters. *Parse* is the cost of parsing every
file again; the agent parses only files that changed, so it is not in the total.
*Prometheus-client* is the cost of that library's encoder for the same page.

"""

_WHOLE = """\

## The whole agent

All its processes, over HTTP with gzip. *Complete*: time from the start to the first complete
snapshot. *Scrape*: time that Prometheus waits, median and worst of ten. *CPU*: user and system time
of one scrape. *Idle*: CPU use between scrapes, in percent of one core, when no container is younger
than a minute; *at 15 s*: the same with a scrape each 15 s. *PSS*: memory of all processes together.
*New*: time until a scrape shows a container that was just started, median of five. *Busy*: time of
a scrape while 20 containers are started each second and a new scout reads everything from scratch.

"""


@dataclass(kw_only=True)
class Report:
    """The measurements, and the page that shows them."""

    machine: str
    date: str
    parts: list[dict[str, float]] = field(default_factory=list)
    docker: list[dict[str, float]] = field(default_factory=list)
    whole: list[Result] = field(default_factory=list)

    def page(self) -> str:
        """Return the page."""
        head = _INTRODUCTION.format(date=self.date, machine=self.machine)
        return head + "\n".join(self._parts()) + "\n" + _WHOLE + "\n".join(self._whole()) + "\n"

    def _parts(self) -> Iterator[str]:
        yield (
            "| containers | reads | series | floor | read | encode | gzip | total | total / floor "
            "| parse | prometheus-client |"
        )
        yield "| --- " + "| --: " * 10 + "|"
        kinds = {"load": self.parts, "Docker": self.docker}
        rows = [(kind, row) for kind, measured in kinds.items() for row in measured]
        for kind, row in rows:
            times = " | ".join(
                f"{row[name]:.0f}" for name in ("floor", "read", "encode", "gzip", "total")
            )
            yield (
                f"| {row['containers']:.0f} ({kind}) | {row['reads']:.1f} | {row['series']:.0f} "
                f"| {times} | {row['total'] / row['floor']:.2f} | {row['parse']:.0f} "
                f"| {row['prometheus_client']:.0f} |"
            )

    def _whole(self) -> Iterator[str]:
        yield (
            "| program | containers | complete | scrape | CPU | idle | at 15 s | PSS | page | gzip "
            "| new | busy |"
        )
        yield "| --- " + "| --: " * 11 + "|"
        for row in self.whole:
            lag = sorted(row.lag_seconds)
            yield " | ".join(
                (
                    f"| {row.program}",
                    str(row.containers),
                    _seconds(row.complete_seconds),
                    f"{row.scrape_seconds:.3f}, {row.worst_seconds:.3f} s",
                    f"{row.scrape_cpu.user * 1000:.0f} + {row.scrape_cpu.system * 1000:.0f} ms",
                    _percent(row.idle_percent),
                    _percent(row.percent),
                    f"{row.pss_bytes / 1e6:.0f} MB",
                    f"{row.page_bytes / 1e6:.2f} MB",
                    f"{row.wire_bytes / 1e6:.2f} MB",
                    _seconds(lag[len(lag) // 2] if lag else None),
                    f"{_seconds(row.busy_seconds)} |",
                )
            )


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} %"
