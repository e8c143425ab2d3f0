"""Rates between two readings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.api.uses import host_use, reading, uses
from agent.exposition import Reading
from collectors.facts import OpenvzFacts, ProcessId
from collectors.kernel.counters import Counters, Scalar, Table
from tests.support.snapshots import NOW, WEB

if TYPE_CHECKING:
    from agent.model import Container


def counted(cpu: str | None, received: int = 0, oom: str = "0") -> Counters:
    scalars: list[bytes | None] = [None] * len(Scalar)
    scalars[Scalar.CPU_USAGE] = cpu.encode() if cpu is not None else None
    scalars[Scalar.MEMORY_USAGE] = b"4096"
    scalars[Scalar.OOM_KILLS] = oom.encode()
    scalars[Scalar.PRESSURE_CPU_SOME] = cpu.encode() if cpu is not None else None
    numbers = tuple(b"%d" % (received * n) for n in (1, 0, 0, 0, 2, 0, 0, 0))
    network = ((("eth0",), numbers), (("lo",), (b"999",) * 8))
    return Counters(tuple(scalars), {Table.NETWORK: network})


def taken(at: float, counters: Counters, container: Container = WEB, wall: float = NOW) -> Reading:
    return Reading(
        as_of=wall, at=at, cost=0.0, host=counters, containers={WEB.id: (container, counters)}
    )


def test_rates_are_over_the_time_between_two_readings() -> None:
    use = uses(taken(12.0, counted("5.5", 3000)), taken(10.0, counted("5.0", 1000)))[WEB.id]
    assert use.counters.cpu_seconds == 5.5
    assert use.rates.cpu_cores == 0.25
    assert (use.counters.network_receive_bytes, use.counters.network_transmit_bytes) == (3000, 6000)
    assert (use.rates.network_receive_bytes, use.rates.network_transmit_bytes) == (1000, 2000)
    assert use.rates.cpu_pressure == 0.25
    assert use.rates.io_read_bytes is None


def test_without_a_reading_before_there_are_no_rates() -> None:
    last = taken(12.0, counted("5.5"))
    assert uses(last, None)[WEB.id].rates.cpu_cores is None
    assert reading(last, None).interval_seconds is None


def test_a_restart_gives_no_rate_that_never_was() -> None:
    again = replace(WEB, init=ProcessId(9999, 5))
    use = uses(taken(12.0, counted("9.5"), again), taken(10.0, counted("5.0")))[WEB.id]
    assert use.rates.cpu_cores is None
    fallen = uses(taken(12.0, counted("0.5")), taken(10.0, counted("5.0")))[WEB.id]
    assert fallen.rates.cpu_cores is None


def test_a_step_of_the_clock_changes_no_rate() -> None:
    last, before = taken(12.0, counted("5.5"), wall=NOW - 86400), taken(10.0, counted("5.0"))
    assert uses(last, before)[WEB.id].rates.cpu_cores == 0.25
    assert reading(last, before).interval_seconds == 2.0
    assert host_use(last, before).rates.cpu_cores == 0.25


def test_openvz_6_is_counted_by_openvz() -> None:
    container = replace(WEB, openvz=OpenvzFacts(ctid="101", cpu_seconds=7.0))
    assert uses(taken(1.0, counted(None), container), None)[WEB.id].counters.cpu_seconds == 7.0
