from __future__ import annotations

import pytest

from agent.metrics.model import CONTAINER_LABELS, Cell, Column, Type, counter, gauge, info
from collectors.kernel.counters import Scalar, Table


def test_labels_come_from_the_prefix_the_kernels_counter_and_the_row() -> None:
    scalar = counter("container_x_total", "cpu", "s", "h", Cell(Scalar.CPU_USER, (("cpu", "0"),)))
    assert scalar.labels == (*CONTAINER_LABELS, "cpu")
    table = gauge("container_y", "io", "s", "h", Column(Table.DISK, 0, ("device",)), labels="a b")
    assert table.labels == (*CONTAINER_LABELS, "device", "a", "b")
    assert gauge("tallyman_container_z", "cpu", "s", "h").labels == ("id",)
    assert gauge("tallyman_other", "cpu", "s", "h").labels == ()


def test_a_bare_scalar_is_a_cell_without_labels() -> None:
    metric = counter("container_x_total", "cpu", "s", "h", Scalar.CPU_USER)
    assert metric.shows == (Cell(Scalar.CPU_USER),)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("x_seconds_total", "seconds"), ("x_bytes", "bytes"), ("x_total", ""), ("x_seconds_max", "")],
)
def test_the_unit_is_read_off_the_end_of_the_name(name: str, unit: str) -> None:
    assert counter(name, "cpu", "s", "h").unit == unit


def test_a_unit_that_the_name_lacks_is_given() -> None:
    assert gauge("container_memory_rss", "memory", "s", "h", unit="bytes").unit == "bytes"


def test_the_family_is_the_name_without_the_suffix_of_its_type() -> None:
    assert counter("x_total", "cpu", "s", "h").family == "x"
    assert info("x_info", "cpu", "s", "h").family == "x"
    odd = gauge("x_total", "cpu", "s", "h")
    assert (odd.family, odd.type) == ("x_total", Type.GAUGE)
