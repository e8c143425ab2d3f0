"""The history as OpenMetrics with timestamps, which promtool turns into blocks of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from dashboards.demo.page import Page
    from dashboards.demo.world import World

JOB = "tallyman"


def write_history(out: TextIO, world: World, step: float) -> None:
    """Write everything that was scraped from the beginning of ``world`` to its end."""
    at = world.begin
    while at <= 0:
        world.advance(at, step)
        for instance, page in world.pages(at, step):
            _write(out, page, f'job="{JOB}",instance="{instance}"', f"{world.end + at:.0f}")
        at += step
    out.write("# EOF\n")


def _write(out: TextIO, page: Page | None, target: str, when: str) -> None:
    out.write(f"up{{{target}}} {int(page is not None)} {when}\n")
    if page is None:
        return
    out.write(f"scrape_duration_seconds{{{target}}} {len(page.samples) * 12e-6:.15g} {when}\n")
    name = "scrape_samples_post_metric_relabeling"
    out.write(f"{name}{{{target}}} {len(page.samples)} {when}\n")
    out.writelines(
        f"{name}{{{target}{',' if labels else ''}{labels}}} {value:.15g} {when}\n"
        for name, labels, value in page.samples
    )
