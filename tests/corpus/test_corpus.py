"""The classifier on captured containers: every sure case is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.classifier import reliability
from agent.model import Style
from tests.corpus import report
from tests.corpus.codec import Case, dumps, loads
from tests.corpus.make import ALL
from tests.support.subjects import findings_of, verdict_of

STALE = "run: python -m tests.corpus.report > agent/classifier/reliability.py"

CASES = {
    path.stem: loads(path.read_text())
    for path in sorted((Path(__file__).parent / "cases").glob("*.json"))
}


@pytest.fixture(scope="module", autouse=True)
def _report() -> None:
    report.JUDGED[:] = [(case, verdict_of(case.subject)) for case in CASES.values()]


def _evidence(case: Case) -> str:
    verdict = verdict_of(case.subject)
    evidence = "\n".join(f"{e.weight:+.2f} {e.rule}: {e.sentence}" for e in verdict.evidence)
    return f"{case.about}: {verdict.style} {verdict.score:+.2f}\n{evidence}"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.sure])
def test_every_sure_case_is_right(name: str) -> None:
    case = CASES[name]
    assert verdict_of(case.subject).style == case.style, _evidence(case)


def test_most_of_the_others_are_right_too() -> None:
    others = [j for j in report.JUDGED if not j[0].sure]
    wrong = [j for j in others if not report.right(j) and j[1].style is not Style.UNKNOWN]
    assert len(wrong) <= 0.1 * len(others)
    unknown = [j for j in report.JUDGED if j[1].style is Style.UNKNOWN]
    assert len(unknown) <= 0.08 * len(report.JUDGED)


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case.findings or case.absent]
)
def test_findings_are_named_where_they_are_true_and_nowhere_else(name: str) -> None:
    case = CASES[name]
    found = findings_of(case.subject)
    assert set(case.findings) <= found
    assert not found & set(case.absent)


def test_the_corpus_is_large_and_of_both_kinds() -> None:
    assert len(CASES) >= 500
    assert sum(case.style == "system" for case in CASES.values()) >= 25
    assert sum(name.startswith("v2-") for name in CASES) >= 15
    assert {n.removeprefix("v2-") for n in CASES} <= {scenario.name for scenario in ALL}


@pytest.mark.parametrize("name", ["nginx", "systemd-full"])
def test_a_case_survives_being_written(name: str) -> None:
    assert loads(dumps(CASES[name])) == CASES[name]


def test_sure_verdicts_are_right() -> None:
    sure = [j for j in report.JUDGED if j[1].confidence >= 0.5]
    assert not {case.name for case, verdict in sure if not report.right((case, verdict))}


def test_the_page_about_the_model_counts_every_case() -> None:
    assert len(CASES) == reliability.CASES, STALE


def test_an_interval_is_wide_where_there_are_few() -> None:
    assert report.wilson(2, 2)[0] == pytest.approx(0.342, abs=0.001)
    assert report.wilson(7, 11) == pytest.approx((0.354, 0.848), abs=0.001)
    assert report.wilson(0, 10) == pytest.approx((0.0, 0.278), abs=0.001)
