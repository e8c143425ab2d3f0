"""What the documentation names is there."""

from __future__ import annotations

import re
from pathlib import Path

TOP = Path(__file__).parents[2]


def test_every_test_that_the_security_model_names() -> None:
    named = set(re.findall(r"\btest_\w+(?:\.py)?", (TOP / "docs/security.md").read_text()))
    files = list((TOP / "tests").rglob("test_*.py"))
    there = {file.name for file in files}
    for file in files:
        there.update(re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE))
    assert len(named) > 20
    assert named <= there, named - there


def test_joins_that_people_copy_are_by_job_too() -> None:
    pages = [TOP / "README.md", *(TOP / "docs").glob("*.md"), *(TOP / "agent/metrics").glob("*.py")]
    joins = [on for page in pages for on in re.findall(r"\bon \(([^)]*)\)", page.read_text())]
    by_host = [on for on in joins if "instance" in on]
    assert len(by_host) > 2
    assert [on for on in by_host if not on.startswith("job, instance")] == []
