"""The table of the benchmark."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.whole import Result

_INTRODUCTION = """\
# What it costs

Written by `make bench` on {date}: {machine}. Idle containers; other work on the machine slows
everything alike, so look at the ratios.

## A scrape by its parts

Microseconds of CPU, user and system, for each container and scrape. The *floor* is the bare preads
of the same files in the same run: of cgroup files through descriptors that stay open, and of
`/proc/<pid>/net/dev`, which is opened and closed, as it would pin a dead container. *Read* is all
of the reading, with the host's own counters; *parse* is what it takes to parse every file anew,
which is only done to those that have changed, and is not in the total; *prometheus-client* is what
its encoder takes for the same page.

"""

_WHOLE = """\

## The whole agent

All its processes, over HTTP with gzip. *Complete* is the time from its start to its first whole
picture; *scrape* the time that Prometheus waits, median and worst of ten; *CPU* user and system of
one scrape; *idle* between scrapes, in percent of one core, when no container is younger than a
minute, and *at 15 s* with a scrape each 15 s; *PSS* of all processes together; *new* how long until
a scrape shows a container that was just started, median of five; *busy* a scrape while 20
containers are started each second and a new scout looks at everything anew.

"""


@dataclass(kw_only=True)
class Report:
    """What was measured, and its page."""

    machine: str
    date: str
    parts: list[dict[str, float]] = field(default_factory=list)
    docker: list[dict[str, float]] = field(default_factory=list)
    whole: list[Result] = field(default_factory=list)

    def page(self) -> str:
        """Write the page."""
        head = _INTRODUCTION.format(date=self.date, machine=self.machine)
        return head + "\n".join(self._parts()) + "\n" + _WHOLE + "\n".join(self._whole()) + "\n"

    def _parts(self) -> Iterator[str]:
        yield (
            "| containers | reads | series | floor | read | encode | gzip | total | total / floor "
            "| parse | prometheus-client |"
        )
        yield "| --- " + "| --: " * 10 + "|"
        kinds = {"load": self.parts, "Docker": self.docker}
        rows = [(kind, row) for kind, found in kinds.items() for row in found]
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
