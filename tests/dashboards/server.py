"""Asking a Prometheus as Grafana asks it."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from tests.dashboards.queries import fill, panels

RANGE = 3600.0


@dataclass(frozen=True, slots=True)
class Api:
    """A server, and the moment that is now for its dashboards."""

    url: str
    now: float

    def ask(self, path: str, **parameters: str) -> Any:
        """Ask the HTTP API, and give what stands under ``data``; an error is an AssertionError."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{error.read().decode()}: {parameters}") from error

    def series(self, expr: str, *, instant: bool) -> int:
        """Count the series of an expression."""
        if instant:
            return len(self.ask_now(expr))
        span = {"start": str(self.now - RANGE), "end": str(self.now), "step": "60"}
        return len(self.ask("query_range", query=expr, **span)["result"])

    def ask_now(self, expr: str) -> list[dict[str, Any]]:
        """Evaluate an expression at the moment that is now."""
        found: list[dict[str, Any]] = self.ask("query", query=expr, time=str(self.now))["result"]
        return found

    def options(self, variable: dict[str, Any], chosen: dict[str, str]) -> list[str]:
        """Return the values that Grafana would offer for a query variable."""
        query = fill(variable["query"], **chosen)
        if query.startswith("query_result("):
            # In the order of the result; as Grafana writes a series, the pattern finds the value.
            result = self.ask_now(query.removeprefix("query_result(").removesuffix(")"))
            series = [",".join(f'{k}="{v}"' for k, v in row["metric"].items()) for row in result]
            return [re.findall(variable["regex"].strip("/"), one)[0] for one in series]
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert match
        span = {"start": str(self.now - RANGE), "end": str(self.now)}
        found: list[str] = self.ask(f"label/{match[2]}/values", **{"match[]": match[1]}, **span)
        return found

    def choices(self, board: dict[str, Any], **wanted: str) -> dict[str, str]:
        """Choose one value of each variable, each among those that the ones before leave.

        ``wanted`` are taken where they are offered; else the first.
        """
        chosen: dict[str, str] = {}
        for variable in board["templating"]["list"]:
            if variable["type"] != "query":
                continue
            name = variable["name"]
            offered = self.options(variable, chosen)
            assert offered, f"{board['uid']}: nothing to choose for {name} with {chosen}"
            value = wanted[name] if wanted.get(name) in offered else offered[0]
            # As Grafana does: only where several can be chosen is a value a pattern.
            multi = variable.get("multi")
            chosen[name] = re.escape(value).replace("\\", "\\\\") if multi else value
        return chosen

    def ask_all(self, board: dict[str, Any], chosen: dict[str, str]) -> list[str]:
        """Ask every query of every panel and annotation, and give those that have no series."""
        empty = []
        for panel in panels(board):
            for target in panel["targets"]:
                expr = fill(target["expr"], **chosen)
                if not self.series(expr, instant=bool(target.get("instant"))):
                    empty.append(f"{panel['title']}: {target['refId']}")
        for annotation in board["annotations"]["list"]:
            self.series(fill(annotation["expr"], **chosen), instant=False)
        return empty


def singles(board: dict[str, Any], chosen: dict[str, str]) -> dict[str, str]:
    """Keep what was chosen for variables that have no All, which a query cannot do without."""
    return {
        variable["name"]: chosen[variable["name"]]
        for variable in board["templating"]["list"]
        if variable["type"] == "query" and not variable.get("multi")
    }
