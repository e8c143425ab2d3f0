"""How the classifier did on the corpus: accuracy, confusion table, calibration."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

from agent.model import Style

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.model import Verdict
    from tests.corpus.codec import Case

Judged = tuple["Case", "Verdict"]
JUDGED: list[Judged] = []
"""Filled by the tests, shown at the end of the run."""

_BUCKETS = (0.0, 0.25, 0.5, 0.75, 1.01)


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
    return f"{100 * sum(map(right, judged)) / len(judged):.1f} %" if judged else "-"
