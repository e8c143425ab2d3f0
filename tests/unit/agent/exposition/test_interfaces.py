from __future__ import annotations

from typing import TYPE_CHECKING

from agent.exposition.interfaces import LeftOutInterfaces
from agent.exposition.options import Options
from agent.exposition.rows import Row
from agent.model import Container
from collectors.kernel.counters import Counters, Scalar

if TYPE_CHECKING:
    import pytest


def reading(name: str, left_out: int | None) -> tuple[Row, Counters]:
    scalars: list[bytes | None] = [None] * len(Scalar)
    if left_out is not None:
        scalars[Scalar.INTERFACES_LEFT_OUT] = b"%d" % left_out
    row = Row(Container(id=f"/{name}", engine="docker", name=name), Options())
    return row, Counters(tuple(scalars), {})


def test_what_is_left_out_is_counted_and_each_container_is_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    interfaces = LeftOutInterfaces()
    many, few = reading("many", 8), reading("few", None)
    assert interfaces.count([many, few], 0.0) == 8
    assert interfaces.count([many, few], 100.0) == 8
    assert [record.args for record in caplog.records] == [(8, "many", 1)]
    assert interfaces.count([few], 200.0) == 0


def test_no_container_makes_it_warn_more_often_than_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    interfaces = LeftOutInterfaces()
    for second in range(60):
        interfaces.count([reading(f"many{second}", 1)], float(second))
    assert len(caplog.records) == 1
