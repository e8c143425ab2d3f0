"""How the classifier did on the corpus: accuracy, confusion table, calibration.

``python -m tests.corpus.report > agent/classifier/reliability.py`` writes the tables that
docs/verdict.md shows; ``python -m agent.classifier.manual > docs/verdict.md`` comes after it.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections import Counter
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

from agent.classifier import classify, read_scene
from agent.classifier.combine import DISPUTABLE
from agent.classifier.judge import SURE, weigh
from agent.classifier.readings import is_disputable
from agent.classifier.scene import InitKind
from agent.model import Style
from tests.corpus.codec import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agent.model import Verdict
    from tests.corpus.codec import Case

Judged = tuple["Case", "Verdict"]
JUDGED: list[Judged] = []
"""Filled by the tests, shown at the end of the run."""

_BUCKETS = (0.0, 0.25, 0.5, 0.75, 1.01)
CASES = Path(__file__).parent / "cases"


def right(judged: Judged) -> bool:
    """Return whether the verdict is what the label says."""
    case, verdict = judged
    return verdict.style.value == case.style


def lines(judged: Sequence[Judged]) -> Iterator[str]:
    """Return the lines of the report."""
    sure = [j for j in judged if j[0].sure]
    yield (
        f"{len(judged)} containers, {_share(judged)} right; "
        f"of {len(sure)} sure cases {_share(sure)}"
    )
    yield ""
    table = Counter((case.style, verdict.style) for case, verdict in judged)
    yield f"{'':16}" + "".join(f"judged {style:<10}" for style in Style)
    for label in (Style.APP, Style.SYSTEM):
        yield f"labelled {label:<7}" + "".join(
            f"{table[label, style]:>6}{'':11}" for style in Style
        )
    yield ""
    yield "confidence     containers   right"
    for low, high in itertools.pairwise(_BUCKETS):
        within = [j for j in judged if low <= j[1].confidence < high]
        if within:
            yield f"{low:.2f} to {min(high, 1):.2f} {len(within):>12}   {_share(within)}"
    for case, verdict in judged:
        if not right((case, verdict)):
            yield f"wrong: {case.name} ({case.about}) is {case.style}, judged {verdict.style}"


def _share(judged: Sequence[Judged]) -> str:
    """Return how many of those verdicts are right that have a style."""
    styled = _styled(judged)
    return f"{100 * sum(map(right, styled)) / len(styled):.1f} %" if styled else "-"


def _styled(judged: Sequence[Judged]) -> list[Judged]:
    return [j for j in judged if j[1].style is not Style.UNKNOWN]


def _unknown(judged: Sequence[Judged]) -> int:
    return len(judged) - len(_styled(judged))


def wilson(successes: int, number: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, Wilson (1927): what so small a number can tell."""
    z = NormalDist().inv_cdf(0.975)
    middle = (successes + z * z / 2) / (number + z * z)
    share = successes / number
    half = z / (number + z * z) * math.sqrt(number * share * (1 - share) + z * z / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def reliability(judged: Sequence[Judged]) -> Iterator[str]:
    """Return the tables of docs/verdict.md: what verdicts claim, and how often they are right."""
    styled = _styled(judged)
    open_ = [j for j in styled if is_disputable(read_scene(j[0].subject))]
    rest = [j for j in styled if j not in open_]
    yield "| confidence | containers | claim | evidence alone | right |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for low, high in itertools.pairwise(_BUCKETS):
        within = [j for j in rest if low <= j[1].confidence < high]
        yield _row(f"{low:.2f} to {min(high, 1):.2f}", within)
        if high == SURE:
            yield _row(f"at most {DISPUTABLE}, as there is room", open_)
    yield f"| `unknown` | {_unknown(judged)} | - | - | - |"
    yield ""
    yield from _by("engine", lambda case: case.subject.container.engine, judged)
    yield ""
    yield from _by("first process", _first_process, judged)


def _row(title: str, judged: Sequence[Judged]) -> str:
    alone = [weigh(read_scene(case.subject)).confidence for case, _ in judged]
    return (
        f"| {title} | {len(judged)} | {_claim([v.confidence for _, v in judged])} "
        f"| {_claim(alone)} | {_with_interval(judged)} |"
    )


def _claim(confidences: Sequence[float]) -> str:
    """Return in how many cases verdicts of these confidences claim to be right."""
    if not confidences:
        return "-"
    return f"{100 * sum((1 + c) / 2 for c in confidences) / len(confidences):.0f} %"


def _with_interval(judged: Sequence[Judged]) -> str:
    styled = _styled(judged)
    if not styled:
        return "-"
    low, high = wilson(sum(map(right, styled)), len(styled))
    return f"{_share(styled)} ({100 * low:.0f} to {100 * high:.0f})"


def _by(title: str, key: Callable[[Case], str], judged: Sequence[Judged]) -> Iterator[str]:
    yield f"| {title} | containers | sure | right | not sure | claim | right | `unknown` |"
    yield "| --- |" + " ---: |" * 7
    for name in sorted({key(case) for case, _ in judged}):
        of_it = [j for j in judged if key(j[0]) == name]
        sure = [j for j in of_it if j[1].confidence >= SURE]
        others = [j for j in _styled(of_it) if j[1].confidence < SURE]
        yield (
            f"| {name} | {len(of_it)} | {len(sure)} | {_with_interval(sure)} | {len(others)} "
            f"| {_claim([v.confidence for _, v in others])} | {_with_interval(others)} "
            f"| {_unknown(of_it)} |"
        )


def _first_process(case: Case) -> str:
    kind = read_scene(case.subject).init_kind
    return "none seen" if kind is InitKind.NONE else kind.value


def main() -> None:
    """Write the module that holds the tables."""
    cases = [loads(path.read_text()) for path in sorted(CASES.glob("*.json"))]
    judged = [(case, classify(read_scene(case.subject))) for case in cases]
    text = "\n".join(reliability(judged))
    sys.stdout.write(
        '"""How often verdicts are right on the corpus; python -m tests.corpus.report writes it."""'
        f'\n\nCASES = {len(cases)}\n\nTABLES = """\n{text}\n"""\n'
    )


if __name__ == "__main__":
    main()
