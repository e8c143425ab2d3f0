"""Panels as this project draws them: the SDK's builders with our defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

from dashboards.theme import GREEN, ORANGE, RED, STYLE_COLOURS, TEXT
from dashboards.variables import SOURCE

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.cog.variants import Dataquery

Panel = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel | statetimeline.Panel
Steps = Sequence[tuple[float | None, str]]
"""Colours from a value on; the first step's value is None."""

PLAIN: Steps = ((None, TEXT),)
"""No judgement: a number without a limit is neither good nor bad."""
SHARE: Steps = ((None, GREEN), (0.8, ORANGE), (0.9, RED))
"""Of a share of a limit: red means act."""
BAD_IF_ANY: Steps = ((None, GREEN), (1, RED))
WATCH_IF_ANY: Steps = ((None, GREEN), (1, ORANGE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One PromQL expression and the legend of its series."""

    expr: str
    legend: str = "__auto"
    instant: bool = False
    as_table: bool = False


def query(expr: str, legend: str = "__auto") -> Query:
    """Ask for an expression over the range."""
    return Query(expr=expr, legend=legend)


def now(expr: str, legend: str = "__auto") -> Query:
    """Ask for an expression at the end of the range alone."""
    return Query(expr=expr, legend=legend, instant=True)


def _targets(queries: Sequence[Query]) -> list[Builder[Dataquery]]:
    found: list[Builder[Dataquery]] = []
    for index, q in enumerate(queries):
        target = (
            prometheus.Dataquery()
            .expr(q.expr)
            .ref_id(chr(ord("A") + index))
            .legend_format(q.legend)
            .datasource(SOURCE)
        )
        found.append(target.instant() if q.instant else target.range())
        if q.as_table:
            target.format(prometheus_models.PromQueryFormat.TABLE)
    return found


def thresholds(steps: Steps) -> builders.ThresholdsConfig:
    """Colour by value."""
    return (
        builders.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=colour) for value, colour in steps])
    )


def colour_of(value: str) -> models.DynamicConfigValue:
    """Return the override that draws a series in one colour."""
    return models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": value})


def property_of(name: str, value: object) -> models.DynamicConfigValue:
    """Return an override."""
    return models.DynamicConfigValue(id_val=name, value=value)


def mapping(texts: Mapping[str, tuple[str, str]]) -> list[models.ValueMapping]:
    """Show values as a text and a colour."""
    return [
        models.ValueMap(
            options={
                value: models.ValueMappingResult(text=text, color=colour, index=index)
                for index, (value, (text, colour)) in enumerate(texts.items())
            }
        )
    ]


STYLE_NAMES = {
    "app": ("app", STYLE_COLOURS["app"]),
    "system": ("system", STYLE_COLOURS["system"]),
    "unknown": ("unknown", STYLE_COLOURS["unknown"]),
    "none": ("none", STYLE_COLOURS["none"]),
}


def prepare(panel: Panel, title: str, about: str, queries: Sequence[Query], empty: str) -> None:
    """Set what every panel has; ``empty`` is what it says without series."""
    panel.title(title)
    panel.description(about)
    panel.datasource(SOURCE)
    panel.targets(_targets(queries))
    panel.no_value(empty)


@dataclass(frozen=True, slots=True)
class Figure:
    """One of several numbers in one panel."""

    name: str
    expr: str
    _: KW_ONLY
    colour: str = ""
    steps: Steps = PLAIN
    """Only where the number is measured by a limit."""
    link: tuple[str, str] | None = None
    unit: str = ""
    """Where it is not that of the panel."""


def figures(
    title: str,
    about: str,
    *shown: Figure,
    unit: str = "none",
    decimals: int | None = 0,
    empty: str = "-",
) -> stat.Panel:
    """Show numbers as they are now, beside each other, each with its name and of one size."""
    panel = stat.Panel()
    prepare(panel, title, about, [now(figure.expr, figure.name) for figure in shown], empty)
    panel.unit(unit).thresholds(thresholds(PLAIN))
    if decimals is not None:
        panel.decimals(decimals)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(options.BigValueGraphMode.NONE)
    panel.color_mode(options.BigValueColorMode.VALUE)
    panel.text_mode(options.BigValueTextMode.VALUE_AND_NAME).wide_layout(False)
    panel.text(common.VizTextDisplayOptions().title_size(13).value_size(26))
    for figure in shown:
        panel.override_by_name(figure.name, _figure_properties(figure))
    return panel


def _figure_properties(figure: Figure) -> list[models.DynamicConfigValue]:
    steps = [{"value": value, "color": colour} for value, colour in figure.steps]
    properties = (
        [colour_of(figure.colour)]
        if figure.colour
        else [property_of("thresholds", {"mode": "absolute", "steps": steps})]
    )
    if figure.unit:
        decimals = 1 if figure.unit == "s" else 0
        properties += [property_of("unit", figure.unit), property_of("decimals", decimals)]
    if figure.link:
        text, url = figure.link
        properties.append(property_of("links", [{"title": text, "url": url}]))
    return properties


def _legend(numbers: Sequence[str]) -> common.VizLegendOptions:
    below = (
        common.VizLegendOptions()
        .display_mode(options.LegendDisplayMode.LIST)
        .placement(options.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(list(numbers))
    )
    if numbers:
        below.display_mode(options.LegendDisplayMode.TABLE).sort_by("Mean").sort_desc(True)
    return below


def _bounds(
    panel: timeseries.Panel | bargauge.Panel,
    low: float | None,
    high: float | None,
    decimals: int | None,
) -> None:
    if low is not None:
        panel.min(low)
    if high is not None:
        panel.max(high)
    if decimals is not None:
        panel.decimals(decimals)


_AS_LIMIT = [
    property_of("custom.fillOpacity", 0),
    property_of("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
    property_of("custom.stacking", {"mode": "none", "group": "limit"}),
]


def graph(
    title: str,
    about: str,
    *queries: Query,
    unit: str = "short",
    stacked: bool = False,
    bars: bool = False,
    low: float | None = 0,
    high: float | None = None,
    steps: Steps = (),
    colours: Mapping[str, str] | None = None,
    shades: str = "",
    dashed: Sequence[str] = (),
    legend: Sequence[str] = (),
    link: tuple[str, str] | None = None,
    empty: str = "no series",
    decimals: int | None = None,
    fill: int = 8,
) -> timeseries.Panel:
    """Draw series over time.

    ``dashed`` names those that are limits: drawn as lines, unstacked. ``shades`` is the colour of
    all where it has a meaning: Grafana's own first colour is green, also for a kill.
    """
    panel = timeseries.Panel()
    prepare(panel, title, about, queries, empty)
    panel.unit(unit).line_width(1).show_points(options.VisibilityMode.AUTO)
    panel.span_nulls(False)
    panel.fill_opacity(70 if bars else 25 if stacked else 0 if legend else fill)
    _bounds(panel, low, high, decimals)
    if stacked:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
    if bars:
        # Wide enough to be seen, and hardly wider than the window that is counted over.
        panel.draw_style(options.GraphDrawStyle.BARS).interval("5m")
    if steps:
        panel.thresholds(thresholds(steps))
        style = common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.DASHED)
        panel.thresholds_style(style)
    panel.tooltip(
        common.VizTooltipOptions()
        .mode(options.TooltipDisplayMode.MULTI)
        .sort(options.SortOrder.DESCENDING)
    )
    panel.legend(_legend(legend))
    if shades:
        panel.color_scheme(
            builders.FieldColor().mode(models.FieldColorModeId.SHADES).fixed_color(shades)
        )
    for name, colour in (colours or {}).items():
        panel.override_by_name(name, [colour_of(colour)])
    for name in dashed:
        panel.override_by_name(name, _AS_LIMIT)
    if link:
        panel.data_links([builders.DashboardLink(link[0]).url(link[1])])
    return panel


def bars(
    title: str,
    about: str,
    *queries: Query,
    unit: str = "short",
    low: float | None = 0,
    high: float | None = None,
    steps: Steps = PLAIN,
    colours: Mapping[str, str] | None = None,
    empty: str = "none",
    decimals: int | None = None,
) -> bargauge.Panel:
    """Draw latest values as bars beside each other; ``colours`` are those of queries, A and so on.

    A bar grows from ``low``, never from zero to both sides.
    """
    panel = bargauge.Panel()
    prepare(panel, title, about, queries, empty)
    panel.unit(unit).thresholds(thresholds(steps))
    panel.orientation(options.VizOrientation.HORIZONTAL)
    panel.display_mode(options.BarGaugeDisplayMode.BASIC)
    panel.value_mode(options.BarGaugeValueMode.TEXT)
    panel.show_unfilled(True).min_viz_height(16).max_viz_height(28).min_viz_width(8)
    panel.name_placement(options.BarGaugeNamePlacement.LEFT)
    panel.sizing(options.BarGaugeSizing.MANUAL)
    panel.text(common.VizTextDisplayOptions().title_size(12).value_size(13))
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    _bounds(panel, low, high, decimals)
    for query_id, colour in (colours or {}).items():
        panel.override_by_query(query_id, [colour_of(colour)])
    return panel


def states(
    title: str,
    about: str,
    *queries: Query,
    values: Mapping[str, tuple[str, str]],
    empty: str = "no series",
) -> statetimeline.Panel:
    """Draw states over time, one band each."""
    panel = statetimeline.Panel()
    prepare(panel, title, about, queries, empty)
    panel.mappings(mapping(values)).thresholds(thresholds(PLAIN))
    panel.fill_opacity(80).line_width(0).row_height(0.8).merge_values(True)
    panel.show_value(options.VisibilityMode.NEVER)
    panel.legend(common.VizLegendOptions().show_legend(False).calcs([]))
    return panel
