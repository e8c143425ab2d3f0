"""No shipped expression errs when a container is renamed, turned, restarted, ended or recreated.

Each is asked as Grafana and Prometheus ask it, at each minute of such an hour.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from dashboards.demo.server import Prometheus
from tests.dashboards.changes import CHANGES, INSTANCE, JOBS, MINUTE, WEB, write_changes
from tests.dashboards.queries import (
    alerts,
    annotation_queries,
    dashboards,
    fill,
    panel_queries,
    recordings,
)
from tests.dashboards.server import RANGE, Api
from tests.engines.harness.agent import free_port
from tests.engines.harness.need import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator

END = 1_790_000_000.0 // MINUTE * MINUTE
MOMENTS = (*(END + change + MINUTE for change in CHANGES), END)
"""What is asked ends in the midst of each change, and after all."""
ALL = {"id": WEB.id}
ONE = {
    "job": JOBS[0],
    "instance": INSTANCE,
    "engine": WEB.engine,
    "style": "app",
    "container": WEB.name,
    "id": WEB.id,
    "by": "compose_project, compose_service",
    "top": "1",
    "rows": "1",
}
RULES = recordings() | {name: rule["expr"] for name, rule in alerts().items()}
PANELS = {
    asked.where: asked.expr
    for board in dashboards().values()
    for asked in (*panel_queries(board), *annotation_queries(board))
}


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        lacking("prometheus is not installed")
    place = tmp_path_factory.mktemp("changes")
    server = Prometheus(place, f"127.0.0.1:{free_port()}", {}, 4 * MINUTE)
    history = place / "history.om"
    with history.open("w") as out:
        write_changes(out, END)
    server.load(history)
    try:
        server.start()
        yield Api(server.url, END)
    finally:
        server.stop()


def _ask(server: Api, expr: str) -> int:
    """Ask at each minute of the hours that end at ``MOMENTS``; return how many series that gave."""
    return sum(Api(server.url, end).series(expr, instant=False) for end in MOMENTS)


@pytest.mark.parametrize("expr", RULES.values(), ids=RULES)
def test_no_rule_errs(expr: str, changed: Api) -> None:
    _ask(changed, expr)


@pytest.mark.parametrize("chosen", [ALL, ONE], ids=["all", "one"])
@pytest.mark.parametrize("expr", PANELS.values(), ids=PANELS)
def test_no_panel_errs(expr: str, chosen: dict[str, str], changed: Api) -> None:
    _ask(changed, fill(expr, **chosen))


def test_one_container_by_name_opens_the_newest(changed: Api) -> None:
    board = dashboards()["tallyman-one"]
    identity = next(v for v in board["templating"]["list"] if v["name"] == "id")
    offered = changed.options(identity, {key: ONE[key] for key in ("job", "instance", "container")})
    assert offered == [f"{WEB.id}0", WEB.id]


@pytest.mark.parametrize(
    "careless",
    [
        (
            "rate(container_cpu_cfs_throttled_periods_total[5m]) / on (job, instance, id)"
            " rate(container_cpu_cfs_periods_total[5m])"
        ),
        (
            "tallyman_container_mismatch * on (job, instance, id) group_left (style)"
            " tallyman_container_info"
        ),
        (
            "tallyman_container_mismatch * on (instance, id) group_left (name)"
            ' tallyman_container_info{style="app",name="web"}'
        ),
        (
            "container_memory_rss * on (job, instance, id) group_left (state)"
            ' tallyman_container_state{state!="running"}'
        ),
        (
            f"sum_over_time(container_memory_rss[{RANGE:.0f}s])"
            " * on (job, instance, id) group_left (name)"
            " topk by (job, instance, id) (1, tallyman_container_info)"
        ),
    ],
    ids=["rename", "turn", "two jobs", "restart", "range"],
)
def test_the_history_makes_careless_expressions_err(careless: str, changed: Api) -> None:
    with pytest.raises(AssertionError, match=r"duplicate|many-to-many|unique"):
        _ask(changed, careless)
