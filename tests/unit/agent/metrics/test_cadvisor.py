from __future__ import annotations

import re

from agent.metrics import BY_NAME, CATALOGUE, GROUPS
from agent.metrics.model import Cell, Column
from collectors.kernel.counters import Scalar, Table
from tests.support import CLONE

DOCS = CLONE / "docs"


CADVISOR = {name for name in BY_NAME if name.startswith(("container_", "machine_", "cadvisor_"))}


def rows_of_cadvisor() -> dict[str, str]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (DOCS / "cadvisor.md").read_text(), re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a metric stands twice"
    return dict(rows)


def test_the_page_on_cadvisor_says_what_the_catalogue_says() -> None:
    rows = rows_of_cadvisor()
    assert set(rows.values()) == {"same", "better", "option", "absent"}
    here = {name for name, state in rows.items() if state != "absent"}
    assert here == CADVISOR
    options = {name for name, state in rows.items() if state == "option"}
    assert options == {n for n in CADVISOR if not GROUPS[BY_NAME[n].group].default}


def test_every_counter_of_the_kernel_is_shown_by_a_metric() -> None:
    shown = [counter for metric in CATALOGUE for counter in metric.shows]
    part_of_others = {Scalar.INTERFACES_LEFT_OUT, Scalar.TASKS}
    assert {c.scalar for c in shown if isinstance(c, Cell)} == set(Scalar) - part_of_others
    assert {c.table for c in shown if isinstance(c, Column)} == set(Table)


def test_no_two_metrics_show_the_same_number() -> None:
    shown = [counter[:2] for metric in CATALOGUE for counter in metric.shows]
    assert len(shown) == len(set(map(repr, shown)))
