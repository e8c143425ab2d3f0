from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.counter_tree import CounterTree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from collectors.kernel.counters import CounterReader


@pytest.fixture
def tree(tmp_path: Path) -> CounterTree:
    return CounterTree(tmp_path)


@pytest.fixture
def reader(tree: CounterTree) -> Iterator[CounterReader]:
    made = tree.reader()
    yield made
    made.close()
