"""The encoder against prometheus-client's: the same families, read by its own parsers."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Metric as Family
from prometheus_client.exposition import generate_latest as encode_text
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from agent.exposition.options import Options
from agent.exposition.page import Page
from agent.exposition.samples import Sample
from agent.exposition.series_limit import Shown
from agent.metrics import BY_NAME, CATALOGUE, GROUPS, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

OPTIONS = Options(groups=frozenset(GROUPS))
PRINTABLE = st.text(
    st.characters(exclude_categories=("C", "Zl", "Zp", "Zs"), include_characters=' "\\'),
    min_size=1,
    max_size=20,
)
LABELS = st.dictionaries(
    st.sampled_from(["id", "name", "image", "device", "style"]), PRINTABLE, max_size=4
).map(lambda labels: tuple(sorted(labels.items())))
VALUES = st.one_of(
    st.integers(0, 10**19),
    st.floats(min_value=0, allow_nan=False),
    st.sampled_from([math.inf, 0.1, 1e-300, 5e-324, 1e15, 1e16, 1.7976931348623157e308]),
)


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    found = []
    for metric in draw(st.lists(st.sampled_from(CATALOGUE), unique=True, max_size=8)):
        for labels in draw(st.lists(LABELS, unique=True, min_size=1, max_size=4)):
            # An info is always 1, and no counter is infinite.
            value = 1 if metric.type is Type.INFO else draw(VALUES)
            finite = min(value, 1e300) if metric.type is Type.COUNTER else value
            found.append(Sample(metric.name, finite, labels))
    return found


class Registry:
    """The same samples as prometheus-client's own families, in the order of the catalogue."""

    def __init__(self, found: Iterable[Sample]) -> None:
        by_name: defaultdict[str, list[Sample]] = defaultdict(list)
        for sample in found:
            by_name[sample.name].append(sample)
        self.families = []
        for metric in CATALOGUE:
            if metric.name in by_name:
                has_unit = metric.unit and metric.family.endswith(f"_{metric.unit}")
                unit = metric.unit if has_unit else ""
                family = Family(metric.family, metric.help, metric.type, unit)
                for name, value, labels in by_name[metric.name]:
                    family.add_sample(name, dict(labels), value)
                self.families.append(family)

    def collect(self) -> list[Family]:
        return self.families


def page(found: Iterable[Sample], *, openmetrics: bool) -> str:
    made = Page(OPTIONS, Shown((), (), 0), {}, found, lambda _: None)
    return b"".join(made.pieces(openmetrics=openmetrics)).decode()


def parsed(parse: Callable[[str], Iterable[Family]], text: str) -> list[object]:
    return [
        (
            f.name,
            f.documentation,
            f.type,
            f.unit,
            [(s.name, s.labels, float(s.value)) for s in f.samples],
        )
        for f in parse(text)
    ]


@settings(deadline=None)
@given(samples())
def test_text_is_what_prometheus_client_writes(found: list[Sample]) -> None:
    theirs = encode_text(Registry(found)).decode()
    ours = page(found, openmetrics=False)
    assert parsed(parse_text, ours) == parsed(parse_text, theirs)
    assert comments(ours) == comments(theirs)


@settings(deadline=None)
@given(samples())
def test_openmetrics_is_what_prometheus_client_writes(found: list[Sample]) -> None:
    theirs = encode_openmetrics(Registry(found)).decode()  # type: ignore[no-untyped-call]
    ours = page(found, openmetrics=True)
    assert parsed(parse_openmetrics, ours) == parsed(parse_openmetrics, theirs)
    assert comments(ours) == comments(theirs)


def comments(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.startswith("#")]


def test_every_metric_of_the_catalogue_has_one_name_in_both_formats() -> None:
    found = [Sample(name, 1, (("id", "x"),)) for name in BY_NAME]
    for parse, openmetrics in ((parse_text, False), (parse_openmetrics, True)):
        families = list(parse(page(found, openmetrics=openmetrics)))
        assert [s.name for f in families for s in f.samples] == list(BY_NAME)
