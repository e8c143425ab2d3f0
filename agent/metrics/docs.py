"""The catalogue as a page of documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.metrics import CATALOGUE, GROUPS
from agent.metrics.model import CONTAINER_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.metrics import Metric

_INTRODUCTION = """\
# Metrics

Made from the catalogue (`agent/metrics/`) by `python -m agent.metrics > docs/metrics.md`; do not
edit this file.

- `container_*` and `machine_*` bear cAdvisor's names and mean the same; [cadvisor.md](cadvisor.md)
  says where they are better or absent. They carry `id`, `name` and `image`, on Kubernetes also
  `container`, `pod` and `namespace`. The host is `id="/"`.
- `tallyman_*` carry `id` alone; join on it with
  `* on (job, instance, id) group_left (name, engine, style) tallyman_container_info`.
- A series that is absent was not measured or does not exist on this kernel; nothing is shown as
  zero that was not read as zero.
- A counter of a nested container is in its parent's, too: sum where `parent_id=""`.
- Names are a promise: a rename is a major version, with the old one kept for one.
- Every sample has the same name in the text and in the OpenMetrics format.
- A running container has about 50 series by default. With every limit, a quota, a health check, an
  image, evidence on all seven axes, one network interface and one block device it has 68 on v1, 70
  on v2 and 71 on a hybrid host. A cpuset is one more, as is each finding; each further interface is
  8, each further device 4. OpenVZ's have its own on top: up to 97 with four resources that are
  limited, and 3 or 4 for each further one.
"""

_LINT = """\
## Names that promtool would have otherwise

`promtool check metrics` is clean but for these, which are cAdvisor's:
"""


def page() -> str:
    """Write the whole page."""
    return "\n".join((_INTRODUCTION, *_groups(), _LINT, *_exceptions()))


def _groups() -> Iterator[str]:
    yield "## Groups\n"
    yield "Switched by `--collector.NAME` and `--no-collector.NAME`.\n"
    yield "| group | default | what |\n| --- | --- | --- |"
    for group in GROUPS.values():
        default = "on" if group.default else "off"
        yield f"| [{group.name}](#{group.name}) | {default} | {_cell(group.about)} |"
    yield ""
    for group in GROUPS.values():
        yield f"## {group.name}\n"
        yield "| metric | type | labels | meaning | source |\n| --- | --- | --- | --- | --- |"
        for metric in CATALOGUE:
            if metric.group == group.name:
                yield _row(metric)
        yield ""


def _row(metric: Metric) -> str:
    shown = [label for label in metric.labels if label not in CONTAINER_LABELS]
    if metric.name.startswith("tallyman_"):
        shown = list(metric.labels)
    labels = " ".join(f"`{label}`" for label in shown)
    unit = f", {metric.unit}" if metric.unit else ""
    return (
        f"| `{metric.name}` | {metric.type}{unit} | {labels} | {_cell(metric.help)} "
        f"| {_cell(metric.source)} |"
    )


def _exceptions() -> Iterator[str]:
    for metric in CATALOGUE:
        if metric.lint:
            yield f"- `{metric.name}`: {metric.lint}"
    yield ""


def _cell(text: str) -> str:
    """Keep what is HTML or a table's own out of a table: <pid> would vanish."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
