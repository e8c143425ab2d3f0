"""What dashboards and rules ask: expressions, and the metrics and labels in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from agent.metrics import BY_NAME
from dashboards.boards import BOARDS

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
TARGET = frozenset({"job", "instance"})
"""Labels that Prometheus puts on everything that it scrapes."""
PROMETHEUS_OWN = frozenset(
    {"up", "scrape_duration_seconds", "scrape_samples_post_metric_relabeling"}
)
_ALERT = frozenset({"alertname", "severity", "id", "name", "engine", "style", "resource"})
PROMETHEUS_ALERTS = {"ALERTS": _ALERT | {"alertstate"}, "ALERTS_FOR_STATE": _ALERT}
"""What Prometheus itself says of alerts, and the labels that ours have."""

DEFAULTS = {
    "job": ".+",
    "instance": ".+",
    "engine": ".+",
    "style": ".+",
    "container": ".*",
    "id": "/",
    "application": ".*",
    "by": "image",
    "top": "10",
    "rows": "25",
    "__range": "3600s",
    "__range_s": "3600",
    "__rate_interval": "120s",
}
"""Values of the variables for a query with All."""
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)|\$\{(\w+)(?::\w+)?\}")
"""Not ``$1`` of label_replace: Grafana, too, leaves what it does not know."""


@cache
def dashboards() -> dict[str, dict[str, Any]]:
    """Return each dashboard's JSON by uid, as it is built now."""
    return {board.uid: json.loads(board.json()) for board in BOARDS}


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return all panels that draw, those in collapsed rows too."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def rows(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the rows."""
    return (panel for panel in board["panels"] if panel["type"] == "row")


def variables_in(text: str) -> set[str]:
    """Return the names of the variables in a text."""
    return {plain or braced for plain, braced in _VARIABLE.findall(text)}


def fill(text: str, **chosen: str) -> str:
    """Put values in the place of variables."""
    values = DEFAULTS | chosen
    return _VARIABLE.sub(lambda m: values[m.group(1) or m.group(2)], text)


@dataclass(frozen=True, slots=True)
class Asked:
    """One expression that is asked."""

    where: str
    expr: str


def panel_queries(board: dict[str, Any]) -> Iterator[Asked]:
    """Return the expressions of panels."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield Asked(f"{board['uid']}: {panel['title']}: {target['refId']}", target["expr"])


def annotation_queries(board: dict[str, Any]) -> Iterator[Asked]:
    """Return the expressions of annotations."""
    for annotation in board["annotations"]["list"]:
        yield Asked(f"{board['uid']}: annotation {annotation['name']}", annotation["expr"])


@cache
def rule_groups(name: str) -> list[dict[str, Any]]:
    """Return the groups of a rule file."""
    loaded = yaml.safe_load((PROMETHEUS / name).read_text())
    groups: list[dict[str, Any]] = loaded["groups"]
    return groups


def recordings() -> dict[str, str]:
    """Return the recording rules: expression by name."""
    groups = rule_groups("rules.yml")
    return {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}


def alerts() -> dict[str, dict[str, Any]]:
    """Return the alerts by name."""
    groups = rule_groups("alerts.yml")
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@dataclass(slots=True)
class Parts:
    """What an expression is made of."""

    selectors: list[tuple[str, list[tuple[str, bool]]]] = field(default_factory=list)
    """Metric, and of each matcher the label and whether it is =~."""
    labels: set[str] = field(default_factory=set)
    """Labels to group and match by."""
    made: set[str] = field(default_factory=set)
    """Labels that the expression makes itself."""
    rated: set[str] = field(default_factory=set)
    """Metrics that stand inside a function of counters."""


_OF_COUNTERS = frozenset({"rate", "irate", "increase", "changes"})


def parts(expr: str) -> Parts:
    """Take an expression apart; a syntax error is a ValueError."""
    found = Parts()
    promql_parser.walk(promql_parser.parse(expr), lambda node: _visit(node, found))
    return found


def _visit(node: Any, found: Parts) -> None:
    if isinstance(node, promql_parser.VectorSelector):
        matchers = [(m.name, m.op == promql_parser.MatchOp.Re) for m in node.matchers.matchers]
        found.selectors.append((node.name or "", matchers))
    elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
        found.labels |= set(node.modifier.labels)
    elif isinstance(node, promql_parser.BinaryExpr) and node.modifier is not None:
        if node.modifier.matching is not None:
            found.labels |= set(node.modifier.matching.labels)
        found.labels |= set(node.modifier.group_labels or ())
    elif isinstance(node, promql_parser.Call):
        name = node.func.name
        if name in {"label_replace", "label_join"}:
            found.made.add(node.args[1].val)
        if name in _OF_COUNTERS:
            inner = node.args[0]
            if isinstance(inner, promql_parser.MatrixSelector):
                found.rated.add(inner.vector_selector.name or "")


@cache
def labels_of(metric: str) -> frozenset[str]:
    """Return the labels that a metric or recorded series may carry; KeyError if unknown."""
    if metric in PROMETHEUS_OWN:
        return TARGET
    if metric in PROMETHEUS_ALERTS:
        return TARGET | PROMETHEUS_ALERTS[metric]
    if metric in BY_NAME:
        return TARGET | set(BY_NAME[metric].labels)
    return _labels(promql_parser.parse(recordings()[metric]))


def _labels(node: Any) -> frozenset[str]:
    """Return the labels of what a part of a recording rule gives."""
    if isinstance(node, promql_parser.ParenExpr):
        return _labels(node.expr)
    if isinstance(node, promql_parser.VectorSelector):
        return labels_of(node.name or "")
    if isinstance(node, promql_parser.AggregateExpr):
        keeps = str(node.op) in {"topk", "bottomk"}
        assert node.modifier is not None
        return _labels(node.expr) if keeps else frozenset(node.modifier.labels)
    if isinstance(node, promql_parser.BinaryExpr):
        left, right = node.lhs, node.rhs
        if isinstance(left, promql_parser.NumberLiteral):
            return _labels(right)
        # What a join includes from its right side stands in group_left.
        more = node.modifier.group_labels if node.modifier is not None else None
        return _labels(left) | frozenset(more or ())
    raise TypeError(f"{node} has labels that nobody has thought of")


def drop_in_queries() -> list[str]:
    """Return the expressions below the blocks to copy of the page on cAdvisor."""
    found = re.findall(r"^\| `(.+)` \|$", _blocks_to_copy(), re.MULTILINE)
    assert len(found) > 10
    return found


def drop_in_jobs() -> dict[str, dict[str, Any]]:
    """Return the scrape jobs of these blocks by name."""
    texts = re.findall(r"^```yaml\n(.+?)^```", _blocks_to_copy(), re.MULTILINE | re.DOTALL)
    jobs = [job for text in texts for job in yaml.safe_load(text).get("scrape_configs", ())]
    return {job["job_name"]: job for job in jobs}


def _blocks_to_copy() -> str:
    page = (ROOT / "docs/cadvisor.md").read_text()
    return page.partition("## Blocks to copy")[2].partition("## Queries")[0]


def cadvisor_queries() -> list[tuple[str, str]]:
    """Return the queries of the page on cAdvisor, with what it says of each."""
    table = (ROOT / "docs/cadvisor.md").read_text().partition("## Queries")[2]
    found = re.findall(r"^\| `(.+)` \| (.+) \|$", table, re.MULTILINE)
    assert len(found) > 10
    return [(query, says) for query, says in found if "…" not in query]
