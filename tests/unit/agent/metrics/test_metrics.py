"""The catalogue as a whole."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from agent.exposition.options import Options
from agent.exposition.page import Page
from agent.exposition.samples import Sample
from agent.exposition.series_limit import Shown
from agent.metrics import BY_NAME, CATALOGUE, GROUPS, Type


def test_each_metric_is_declared_once_and_in_a_group() -> None:
    assert len(BY_NAME) == len(CATALOGUE)
    assert {metric.group for metric in CATALOGUE} == set(GROUPS)


def test_no_two_families_have_the_same_name_in_openmetrics() -> None:
    families = [metric.family for metric in CATALOGUE]
    assert len(set(families)) == len(families)


@pytest.mark.parametrize("name", BY_NAME)
def test_names_types_and_texts(name: str) -> None:
    metric = BY_NAME[name]
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    if not metric.lint:
        assert name.endswith("_total") == (metric.type is Type.COUNTER)
    assert name.endswith("_info") == (metric.type is Type.INFO)
    assert metric.help.endswith(".") or ";" in metric.help
    assert metric.source
    assert len(set(metric.labels)) == len(metric.labels)
    # Prometheus gives these to every target, and would rename ours.
    assert not {"instance", "job"} & set(metric.labels)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_complains_of_nothing_but_the_names_that_say_why() -> None:
    options = Options(groups=frozenset(GROUPS))
    samples = [Sample(m.name, 1, tuple((label, "x") for label in m.labels)) for m in CATALOGUE]
    made = Page(options, Shown((), (), 0), {}, samples, lambda _: None)
    promtool = subprocess.run(
        ["promtool", "check", "metrics"],
        input=b"".join(made.pieces()),
        capture_output=True,
        check=False,
    )
    named = {line.split()[0] for line in promtool.stderr.decode().splitlines()}
    assert named == {metric.name for metric in CATALOGUE if metric.lint}
