"""The alerts as Grafana's own alert rules, for those whose Grafana evaluates them.

Made from deploy/prometheus/alerts.yml, so that both say the same. Grafana's file format:
https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning/
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
SOURCE = DEPLOY / "prometheus" / "alerts.yml"
TARGET = DEPLOY / "grafana" / "provisioning" / "alerting" / "tallyman.yml"
DATA_SOURCE = "prometheus"
"""The uid in deploy/grafana/provisioning/datasources."""
_HEAD = """\
# Made from deploy/prometheus/alerts.yml by `make dashboards`. Grafana reads this at start, from
# /etc/grafana/provisioning/alerting/. Load either these rules or alerts.yml: both would tell
# everything twice.
"""
_OTHER_WORDS = {
    "TallymanContainerOomKilled": (
        r"\s*\{\{- with query \(printf .last_over_time.*\Z",
        ". See in its dashboard whether it was its own memory limit or the host's memory.",
    ),
    "TallymanNewMismatch": (
        r" is \{\{ with query .*\{\{ end \}\}\. ",
        " does not have the style that {{ $labels.engine }} was made for, or told to run. ",
    ),
}
"""Where a sentence makes no sense without what it asks: a pattern, and what stands in its place.

Grafana's templates have no ``query``:
https://grafana.com/docs/grafana/latest/alerting/alerting-rules/templates/reference/
"""
_ACTION = re.compile(r"\{\{-?\s*(\w+).*?\}\}", re.DOTALL)


def text() -> str:
    """Return Grafana's rules as the text that is committed and provisioned."""
    source = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    groups = [
        {
            "orgId": 1,
            "name": group["name"],
            "folder": "Tallyman",
            "interval": "1m",
            "rules": [_rule(rule) for rule in group["rules"]],
        }
        for group in source["groups"]
    ]
    made = yaml.safe_dump(
        {"apiVersion": 1, "groups": groups}, sort_keys=False, allow_unicode=True, width=100
    )
    return _HEAD + made


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    name = rule["alert"]
    made = {
        "uid": re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower(),
        "title": name,
        "condition": "B",
        "data": [_ask(rule["expr"].strip()), _FIRES],
        # Prometheus has no data where nothing is wrong.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": rule.get("for", "0s"),
        "annotations": {key: _template(name, value) for key, value in rule["annotations"].items()},
        "labels": rule["labels"],
    }
    if "keep_firing_for" in rule:
        # From Grafana 12 on; older ones ignore it.
        made["keepFiringFor"] = rule["keep_firing_for"]
    return made


def _ask(expr: str) -> dict[str, Any]:
    return {
        "refId": "A",
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": DATA_SOURCE,
        "model": {
            "refId": "A",
            "datasource": {"type": "prometheus", "uid": DATA_SOURCE},
            "editorMode": "code",
            "expr": expr,
            "instant": True,
            "range": False,
            "intervalMs": 60_000,
            "maxDataPoints": 43_200,
        },
    }


_FIRES = {
    # As in Prometheus: whatever the query returns fires, also with the value 0.
    "refId": "B",
    "relativeTimeRange": {"from": 0, "to": 0},
    "datasourceUid": "__expr__",
    "model": {
        "refId": "B",
        "datasource": {"type": "__expr__", "uid": "__expr__"},
        "type": "math",
        "expression": "is_number($A) || is_inf($A)",
    },
}


def _template(name: str, template: str) -> str:
    if name in _OTHER_WORDS:
        pattern, words = _OTHER_WORDS[name]
        template = re.sub(pattern, lambda _: words, template, flags=re.DOTALL)
    # Grafana's $value is a text with all values in it.
    return re.sub(r"\$value\b", "$values.A.Value", _without_queries(template))


def _without_queries(template: str) -> str:
    """Leave out each block that asks Prometheus, with all that is in it."""
    kept, at, depth = "", 0, 0
    for action in _ACTION.finditer(template):
        word = action[1]
        if depth:
            depth += (word in {"with", "if", "range"}) - (word == "end")
            if not depth:
                at = action.end()
        elif word == "with" and "query" in action[0]:
            depth, before = 1, template[at : action.start()]
            kept += before.rstrip() if action[0].startswith("{{-") else before
    return kept + template[at:]
