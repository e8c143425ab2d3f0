"""The rules on how a container is maintained."""

from __future__ import annotations

from typing import Any

import pytest

from collectors.facts import ImageFacts, State
from tests.support.subjects import NGINX, NOW, evidence_of, subject

DAY = 86400.0


def rules(**container: Any) -> set[str]:
    evidence = evidence_of(subject(NGINX, **container))
    return {name for name in evidence if name.startswith("lifecycle.")}


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, set()),
        ({"started": NOW - 30 * DAY, "created": NOW - 30 * DAY}, {"lifecycle.long_running"}),
        ({"started": NOW - 29 * DAY, "created": NOW - 29 * DAY}, set()),
        ({"started": NOW, "created": NOW - 30 * DAY}, {"lifecycle.repaired"}),
        ({"restarts": 1}, {"lifecycle.restarted"}),
        ({"restarts": 0}, set()),
        ({"auto_remove": True}, {"lifecycle.throwaway"}),
        ({"state": State.EXITED, "started": NOW - 31 * DAY, "created": NOW - 31 * DAY}, set()),
    ],
)
def test_what_each_fact_tells(container: dict[str, Any], expected: set[str]) -> None:
    assert rules(**container) == expected


@pytest.mark.parametrize(
    ("days", "digests", "expected"),
    [(1, ("x",), {"lifecycle.replaced"}), (3, ("x",), set()), (1, (), set())],
)
def test_a_container_as_new_as_its_published_image(
    days: int, digests: tuple[str, ...], expected: set[str]
) -> None:
    image = ImageFacts(digests=digests, created=NOW - days * DAY)
    assert rules(created=NOW, image_facts=image) == expected
