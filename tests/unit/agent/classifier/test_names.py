"""The lists of program names."""

from __future__ import annotations

from collections import Counter

from agent.classifier import names
from agent.classifier.programs import lookup


def members(table: str) -> list[str]:
    return [name for line in table.strip().splitlines() for name in line.partition(":")[2].split()]


TABLES = [table for name, table in vars(names).items() if name.isupper()]


def test_every_line_is_a_family_and_its_programs() -> None:
    for table in TABLES:
        for line in table.strip().splitlines():
            assert line.partition(":")[0].strip(), line
            assert line.partition(":")[2].split(), line


def test_a_name_has_one_meaning() -> None:
    counts = Counter(name for table in TABLES for name in members(table))
    assert [name for name, count in counts.items() if count > 1] == []


def test_every_name_is_looked_up() -> None:
    assert all(lookup(name) for table in TABLES for name in members(table))
