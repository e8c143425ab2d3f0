"""Links from one dashboard to the next: they keep the data source and the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboards.theme import Uid

if TYPE_CHECKING:
    from collections.abc import Sequence

_SOURCE_AND_TIME = "${datasource:queryparam}&${__url_time_range}"


def drill(uid: Uid, text: str, keep: Sequence[str] = (), **variables: str) -> tuple[str, str]:
    """Return a data link to another dashboard: its text and its address.

    ``variables`` says which field of the row (or label of the series) each variable takes, as
    Grafana's own expression without ``${}``; ``keep`` are those that stay as they are chosen.
    """
    kept = "".join(f"&${{{name}:queryparam}}" for name in keep)
    chosen = "".join(f"&var-{name}=${{{value}:percentencode}}" for name, value in variables.items())
    return text, f"/d/{uid}?{_SOURCE_AND_TIME}{kept}{chosen}"


def to_host() -> tuple[str, str]:
    """Link a table's row to its host."""
    fields = {"job": "__data.fields.job", "instance": "__data.fields.instance"}
    return drill(Uid.HOST, "This host", **fields)


def to_container() -> tuple[str, str]:
    """Link a table's row to its container."""
    fields = {name: f"__data.fields.{name}" for name in ("job", "instance", "id")}
    return drill(Uid.ONE, "This container", **fields, container="__data.fields.name")


def series_to_host() -> tuple[str, str]:
    """Link a series to its host."""
    labels = {name: f"__field.labels.{name}" for name in ("job", "instance")}
    return drill(Uid.HOST, "This host", **labels)


def series_to_container() -> tuple[str, str]:
    """Link a series to its container."""
    labels = {name: f"__field.labels.{name}" for name in ("job", "instance", "id")}
    return drill(Uid.ONE, "This container", **labels, container="__field.labels.name")
