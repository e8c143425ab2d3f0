"""Tables: one row for a set of labels, one column for an expression, names that lead on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models

from dashboards.panels import (
    PLAIN,
    STYLE_NAMES,
    Query,
    Steps,
    mapping,
    prepare,
    property_of,
    thresholds,
)


@dataclass(frozen=True, slots=True)
class Column:
    """One value column of a table."""

    title: str
    expr: str
    _: KW_ONLY
    unit: str = "short"
    decimals: int | None = None
    gauge: bool = False
    """Draw a bar from 0 to ``high``; without ``high``, to the largest of the column."""
    high: float | None = None
    steps: Steps = PLAIN
    values: Mapping[str, tuple[str, str]] | None = None
    """Texts and colours of some of its values."""
    right: bool = False
    """Align to the right, though some values are texts."""
    width: int = 0
    link: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """One label that tells the rows of a table apart."""

    label: str
    title: str = ""
    """Empty: needed for links, not shown."""
    _: KW_ONLY
    link: tuple[str, str] | None = None
    width: int = 0
    grows: bool = False
    """The width is the least; what room there is, all that grow share evenly.

    Grafana does not take it from one for the least of another: the sum of all has to fit.
    """
    values: Mapping[str, tuple[str, str]] | None = None
    """Texts and colours of its values."""


def rows(
    title: str,
    about: str,
    keys: Sequence[Key],
    columns: Sequence[Column],
    *,
    sort: str = "",
    ascending: bool = False,
    filters: bool = True,
    empty: str = "none",
) -> table.Panel:
    """Draw a table: one row for each set of ``keys``, one column for each expression.

    Every expression gives exactly the labels of ``keys``, and their rows are merged by them.
    ``filters`` puts a button into the headings of keys; one row alone needs none.
    """
    panel = table.Panel()
    queries = [Query(expr=c.expr, legend="", instant=True, as_table=True) for c in columns]
    prepare(panel, title, about, queries, empty)
    panel.unit("short").thresholds(thresholds(PLAIN)).filterable(False)
    panel.cell_height(options.TableCellHeight.SM)
    if len(columns) > 1:
        panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    names = [
        "Value" if len(columns) == 1 else f"Value #{chr(ord('A') + index)}"
        for index in range(len(columns))
    ]
    if sort:
        field = names[[column.title for column in columns].index(sort)]
        by_value = {"sort": [{"field": field, "desc": not ascending}]}
        panel.with_transformation(models.DataTransformerConfig(id_val="sortBy", options=by_value))
    order = [*(key.label for key in keys), *names]
    organize = {
        "excludeByName": {"Time": True},
        "indexByName": {name: index for index, name in enumerate(order)},
        "renameByName": {},
    }
    panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=organize))
    for key in keys:
        panel.override_by_name(key.label, _key_properties(key, filters=filters))
    for name, column in zip(names, columns, strict=True):
        panel.override_by_name(name, _column_properties(column))
    return panel


def _key_properties(key: Key, *, filters: bool) -> list[models.DynamicConfigValue]:
    if not key.title:
        # Grafana to 11 reads the one, from 12 on the other.
        return [
            property_of("custom.hidden", value=True),
            property_of("custom.hideFrom", {"viz": True, "legend": True, "tooltip": True}),
        ]
    found = [property_of("displayName", key.title), property_of("custom.filterable", value=filters)]
    if key.link:
        found.append(property_of("links", [{"title": key.link[0], "url": key.link[1]}]))
    if key.width:
        width = "custom.minWidth" if key.grows else "custom.width"
        found.append(property_of(width, key.width))
    values = STYLE_NAMES if key.label == "style" else key.values
    if values:
        found += [
            property_of("mappings", mapping(values)),
            property_of("custom.cellOptions", {"type": "color-text"}),
        ]
    return found


def _column_properties(column: Column) -> list[models.DynamicConfigValue]:
    found = [
        property_of("displayName", column.title),
        property_of("unit", column.unit),
        property_of("noValue", "-"),
        property_of("custom.align", "right"),
    ]
    if column.decimals is not None:
        found.append(property_of("decimals", column.decimals))
    if column.values:
        found.append(property_of("mappings", mapping(column.values)))
        if not column.right:
            found.append(property_of("custom.align", "left"))
    if column.gauge:
        gauge = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        found += [property_of("custom.cellOptions", gauge), property_of("min", 0)]
        if column.high is not None:
            found.append(property_of("max", column.high))
        else:
            # Else the largest number of the whole table is the bar's end.
            found.append(property_of("fieldMinMax", value=True))
    elif column.values or column.steps is not PLAIN:
        found.append(property_of("custom.cellOptions", {"type": "color-text"}))
    steps = [{"value": value, "color": colour} for value, colour in column.steps]
    found.append(property_of("thresholds", {"mode": "absolute", "steps": steps}))
    if column.width:
        # Bars take what room there is; numbers need no more than they need.
        width = "custom.minWidth" if column.gauge else "custom.width"
        found.append(property_of(width, column.width))
    if column.link:
        found.append(property_of("links", [{"title": column.link[0], "url": column.link[1]}]))
    return found
