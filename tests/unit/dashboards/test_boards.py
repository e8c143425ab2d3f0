"""The dashboards: built as committed, and made as good dashboards are.

The rules are those of grafana/dashboard-linter and our own; an exception stands in ``EXCEPTIONS``
with its reason.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from agent.classifier.table import RULES
from agent.metrics import BY_NAME
from dashboards.boards import BOARDS
from dashboards.build import path_of
from dashboards.demo.containers import EVIDENCE
from dashboards.theme import STYLE_COLOURS, Uid
from tests.dashboards.queries import (
    ROOT,
    TARGET,
    Asked,
    annotation_queries,
    dashboards,
    fill,
    labels_of,
    panel_queries,
    panels,
    parts,
    rows,
    variables_in,
)

ALL = dashboards()
QUERIES = [q for board in ALL.values() for q in (*panel_queries(board), *annotation_queries(board))]
_BOUND = re.compile(r"(top|bottom)k\(\$(rows|top), ")
BUILT_IN = frozenset({"__range", "__range_s", "__rate_interval", "__url_time_range"})

EXCEPTIONS = {
    ("tallyman-host", "job"): "the same host, scraped by two jobs, would be counted twice",
    ("tallyman-one", "job"): "the same container, scraped by two jobs, would be counted twice",
    ("tallyman-host", "instance"): "the board of one host: a choice of several has no meaning",
    ("tallyman-one", "instance"): "the board of one container",
    ("tallyman-one", "container"): "the board of one container",
    ("tallyman-one", "id"): "the board of one container",
}
"""Variables that are not multi with All, and why."""
ALL_VALUES = {
    "container": ".*",  # a container that nobody has named is in All, too
    "job": None,  # of `up`, a pattern for everything would take the targets of other jobs
}
"""What All of a variable is where it is not .+; None is all that are offered, by name."""
UNITS = {"short", "none", "bytes", "Bps", "percentunit", "s", "dateTimeFromNow"}
"""Grafana's own, of those that we use."""
FREE_UNITS = {
    "cores": "drawn as a suffix; Grafana has no unit for CPUs",
    "si:": "beancounters are bytes or counts, row by row: k, M and G fit both",
}

board_of = pytest.mark.parametrize("board", ALL.values(), ids=ALL)


def test_six() -> None:
    assert list(ALL) == list(Uid)
    assert len({board["title"] for board in ALL.values()}) == 6


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: str(board.uid))
def test_committed_as_built(board: Any) -> None:
    assert path_of(board).read_text() == board.json(), "run: make dashboards"


@board_of
def test_no_key_is_lost_on_the_way_through_the_sdk(board: dict[str, Any]) -> None:
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    lost = set(_keys(board)) - set(_keys(again))
    # The SDK's annotation lacks what Prometheus's annotations need: written by hand in layout.py.
    ours = {"step", "titleFormat", "textFormat", "useValueForTime"}
    assert {key for key in lost if key[-1] not in ours} == set()


def _keys(value: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key)
            yield from _keys(inner, (*at, key))
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner, at)


@board_of
def test_frame(board: dict[str, Any]) -> None:
    assert board["uid"] in set(Uid)
    assert board.get("id") is None
    assert "__inputs" not in board
    assert board["editable"] is False
    assert board["tags"] == ["tallyman"]
    assert board["title"].startswith("Tallyman / ")
    assert len(board["description"]) > 40
    (link,) = board["links"]
    assert link["includeVars"]
    assert link["keepTime"]
    open_panels = [p for p in board["panels"] if p["type"] != "row"]
    assert len(open_panels) <= 20


@board_of
def test_panels_are_numbered_placed_and_told(board: dict[str, Any]) -> None:
    everything = [*panels(board), *rows(board)]
    assert max(Counter(panel["id"] for panel in everything).values()) == 1
    assert all(panel["id"] > 0 for panel in everything)
    assert max(Counter(panel["title"] for panel in panels(board)).values()) == 1
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
        assert panel["targets"], panel["title"]
        ids = [target["refId"] for target in panel["targets"]]
        assert len(ids) == len(set(ids))


@board_of
def test_nothing_overlaps(board: dict[str, Any]) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        for one in (panel, *panel.get("panels", ())):
            place = one["gridPos"]
            assert place["x"] + place["w"] <= 24
            if one is not panel:
                continue
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    assert (x, y) not in taken, (one["title"], taken.get((x, y)))
                    taken[x, y] = one["title"]


@board_of
def test_data_source_is_the_variable(board: dict[str, Any]) -> None:
    first = board["templating"]["list"][0]
    assert (first["name"], first["label"], first["type"]) == (
        "datasource",
        "Data source",
        "datasource",
    )
    expected = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels(board):
        assert panel["datasource"] == expected
        assert all(target["datasource"] == expected for target in panel["targets"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["datasource"] == expected
    assert all(a["datasource"] == expected for a in board["annotations"]["list"])


@board_of
def test_variables(board: dict[str, Any]) -> None:
    uid = board["uid"]
    known = [variable["name"] for variable in board["templating"]["list"]]
    order = ["datasource", "job", "instance", "engine", "style", "container", "id", "by"]
    order += ["application", "top", "rows"]
    assert known == [name for name in order if name in known]
    assert known[:3] == order[:3]
    before: set[str] = {"datasource"}
    # Grafana's schema, 12 and 13, has them for interval variables alone.
    assert not any("auto" in variable for variable in board["templating"]["list"])
    for variable in board["templating"]["list"]:
        name = variable["name"]
        if variable["type"] == "query":
            asked = variable["query"]
            assert variables_in(asked) - BUILT_IN <= before, (
                "a variable is narrowed by those before it"
            )
            assert variables_in(asked) >= (before & {"job", "instance"}), name
            assert variable["refresh"] == 2
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", asked)
            if match is None:
                result = re.fullmatch(r"query_result\((.+)\)", asked)
                assert result, asked
                assert variable["regex"] == f'/{name}="([^"]+)"/'
                assert name in parts(fill(result[1])).labels
                assert variable["sort"] == 0, "as the query sorts"
                before.add(name)
                continue
            selector = parts(fill(match[1])).selectors[0]
            assert match[2] in labels_of(selector[0])
            if (uid, name) not in EXCEPTIONS:
                assert variable["multi"]
                assert variable["includeAll"]
                assert variable.get("allValue") == ALL_VALUES.get(name, ".+")
        before.add(name)


def test_no_exception_is_left_over() -> None:
    single = {
        (uid, variable["name"])
        for uid, board in ALL.items()
        for variable in board["templating"]["list"]
        if variable["type"] == "query" and not variable["multi"]
    }
    assert single == set(EXCEPTIONS)
    assert all((EXCEPTIONS | FREE_UNITS).values()), "say why"


@board_of
def test_every_variable_is_known_and_used(board: dict[str, Any]) -> None:
    known = {variable["name"] for variable in board["templating"]["list"]}
    asked = [q.expr for q in (*panel_queries(board), *annotation_queries(board))]
    used = {name for expr in asked for name in variables_in(expr)}
    assert used - BUILT_IN <= known
    assert known - used == {"datasource"}, "asked by some query or annotation"


@pytest.mark.parametrize("asked", QUERIES, ids=lambda q: q.where)
def test_queries_are_promql_over_what_the_agent_exports(asked: Asked) -> None:
    found = parts(fill(asked.expr))
    allowed = set(found.made)
    for metric, matchers in found.selectors:
        labels = labels_of(metric)
        allowed |= labels
        assert {label for label, _ in matchers} <= labels, metric
    assert found.labels <= allowed


@pytest.mark.parametrize("asked", QUERIES, ids=lambda q: q.where)
def test_queries_follow_the_variables(asked: Asked) -> None:
    for metric, matchers in parts(fill(asked.expr)).selectors:
        for label in TARGET:
            assert (label, True) in matchers, f"{metric} must match {label}=~"
    for label, operator, name in re.findall(r'(\w+)(=~|=)"\$(\w+)"', asked.expr):
        assert label == {"container": "name"}.get(name, name)
        assert operator == ("=" if name == "id" else "=~")


@pytest.mark.parametrize("asked", QUERIES, ids=lambda q: q.where)
def test_counters_are_rated_over_a_fitting_window(asked: Asked) -> None:
    found = parts(fill(asked.expr))
    for metric, _ in found.selectors:
        declared = BY_NAME.get(metric)
        if declared is not None and declared.type == "counter":
            assert metric in found.rated, f"{metric} is a counter"
    for window in re.findall(r"\brate\([^)]*?\[([^\]]+)\]", asked.expr):
        assert window in {"$__rate_interval", "$__range"}


@board_of
def test_a_bare_topk_is_asked_at_one_moment_only(board: dict[str, Any]) -> None:
    for panel in panels(board):
        for target in panel["targets"]:
            if _BOUND.search(target["expr"]) and not target.get("instant"):
                assert re.search(r"and on \([\w, ]+\) (top|bottom)k\(", target["expr"]), panel[
                    "title"
                ]
                assert "@ end()" in target["expr"], panel["title"]


OF_MANY_HOSTS = [ALL[uid] for uid in (Uid.FLEET, Uid.APP, Uid.SYSTEM)]
of_many = pytest.mark.parametrize("board", OF_MANY_HOSTS, ids=lambda board: board["uid"])
FEW = {"engine": "there are some twenty", "finding": "there are some dozens"}
"""Labels of which there are few values, however many containers: their tables have an end."""


@of_many
def test_what_shows_many_hosts_reads_nothing_by_container_that_is_not_recorded(
    board: dict[str, Any],
) -> None:
    for asked in (*panel_queries(board), *annotation_queries(board)):
        for metric, _ in parts(fill(asked.expr)).selectors:
            by_host = not labels_of(metric) & {"id", "collector"}
            assert ":" in metric or metric.startswith("ALERTS") or by_host, asked.where


@of_many
def test_what_shows_many_hosts_has_an_end(board: dict[str, Any]) -> None:
    for panel in panels(board):
        keys = {o["matcher"]["options"] for o in panel["fieldConfig"]["overrides"]}
        asked = [target["expr"] for target in panel["targets"]]
        if panel["type"] == "table":
            endless = keys & {"id", "instance", "unit", "image"}
        else:
            legends = "".join(target["legendFormat"] for target in panel["targets"])
            endless = set(re.findall(r"{{(name|instance|unit|image)}}", legends))
        if endless:
            assert all(_BOUND.search(expr) for expr in asked), panel["title"]
        else:
            assert panel["type"] != "table" or keys & set(FEW), panel["title"]


@board_of
def test_units_are_grafanas(board: dict[str, Any]) -> None:
    for panel in panels(board):
        config = panel["fieldConfig"]
        units = [config["defaults"].get("unit")]
        units += [
            p["value"] for o in config["overrides"] for p in o["properties"] if p["id"] == "unit"
        ]
        if config["defaults"].get("mappings"):
            units = [unit for unit in units if unit]
        assert all(unit in UNITS | set(FREE_UNITS) for unit in units), (panel["title"], units)


def _addresses(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        url = value.get("url")
        if isinstance(url, str) and url:
            yield url
        for inner in value.values():
            yield from _addresses(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _addresses(inner)


@board_of
def test_links_lead_somewhere_and_pass_what_is_known_there(board: dict[str, Any]) -> None:
    addresses = list(_addresses(board["panels"]))
    for address in addresses:
        path, _, query = address.partition("?")
        uid = path.removeprefix("/d/")
        assert uid in ALL
        there = {variable["name"] for variable in ALL[uid]["templating"]["list"]}
        assert set(re.findall(r"var-(\w+)=", query)) <= there
        assert "${datasource:queryparam}" in query
        assert "${__url_time_range}" in query


@board_of
def test_tables_with_containers_or_hosts_drill_down(board: dict[str, Any]) -> None:
    for panel in panels(board):
        if panel["type"] != "table":
            continue
        named = {
            o["matcher"]["options"]: o["properties"] for o in panel["fieldConfig"]["overrides"]
        }
        for label, uid in (("name", Uid.ONE), ("instance", Uid.HOST)):
            shown = label in named and not _hidden(named[label])
            here = board["uid"] == Uid.ONE and label == "name"
            if shown and not here:
                links = [p["value"] for p in named[label] if p["id"] == "links"]
                assert links, (panel["title"], label)
                assert links[0][0]["url"].startswith(f"/d/{uid}?")
        shown_columns = [name for name, properties in named.items() if not _hidden(properties)]
        assert len(shown_columns) <= 10, panel["title"]


def _hidden(properties: list[dict[str, Any]]) -> bool:
    return any(p["id"] == "custom.hidden" for p in properties)


@board_of
def test_a_style_has_one_colour(board: dict[str, Any]) -> None:
    for panel in panels(board):
        for override in panel["fieldConfig"]["overrides"]:
            name = str(override["matcher"]["options"])
            colours = [
                p["value"]["fixedColor"] for p in override["properties"] if p["id"] == "color"
            ]
            for style in ("app", "system", "unknown", "none"):
                words = re.findall(r"[a-z]+", name)
                if colours and style in words and "limit" not in words:
                    assert colours == [STYLE_COLOURS[style]], (panel["title"], name)


def test_dashboards_know_the_catalogue_and_nothing_else() -> None:
    source = "".join(path.read_text() for path in sorted((ROOT / "dashboards").rglob("*.py")))
    imported = set(
        re.findall(r"^\s*(?:from|import) ((?:agent|collectors|tests)[.\w]*)", source, re.MULTILINE)
    )
    assert imported == {"agent.metrics"}


def test_evidence_of_the_demo_is_by_rules_that_there_are() -> None:
    known = {rule.name for rule in RULES}
    made = {f"{axis}.{rule}" for rules in EVIDENCE.values() for axis, rule, _ in rules}
    assert made <= known


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs/images").glob("*.png"))
    assert len(pictures) >= len(ALL)
    assert sum(path.stat().st_size for path in pictures) < 2 << 20
