"""What containers and the host use: counters of one reading, and rates between two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.api import schema
from collectors.kernel.counters import Scalar, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.exposition import Reading
    from agent.model import Container
    from collectors.kernel.counters import Counters

_LOOPBACK = "lo"


def uses(last: Reading, before: Reading | None) -> Mapping[str, schema.Use]:
    """Return what each container uses, by id."""
    earlier = before.containers if before is not None else {}
    seconds = last.at - before.at if before is not None else 0.0
    found = {}
    for key, (container, counters) in last.containers.items():
        then = earlier.get(key)
        # Another first process is another life, which counts from zero.
        same = then is not None and then[0].init == container.init
        old = then[1] if then is not None and same else None
        found[key] = _use(_counters(counters, container), old, seconds)
    return found


def host_use(last: Reading, before: Reading | None) -> schema.Use:
    """Return what the host uses as a whole."""
    seconds = last.at - before.at if before is not None else 0.0
    return _use(_counters(last.host), before.host if before is not None else None, seconds)


def reading(last: Reading, before: Reading | None) -> schema.Reading:
    """Return when the counters were read."""
    interval = round(last.at - before.at, 3) if before is not None else None
    return schema.Reading(as_of=last.as_of, interval_seconds=interval)


def _use(now: schema.Counters, before: Counters | None, seconds: float) -> schema.Use:
    if before is None or seconds <= 0:
        return schema.Use(counters=now, rates=_UNKNOWN)
    then = _counters(before)

    def rate(new: float | None, old: float | None) -> float | None:
        if new is None or old is None or new < old:
            return None  # it counts from zero again
        return round((new - old) / seconds, 4)

    def share(new: float | None, old: float | None) -> float | None:
        found = rate(new, old)
        return found if found is None else min(1.0, found)

    return schema.Use(
        counters=now,
        rates=schema.Rates(
            cpu_cores=rate(now.cpu_seconds, then.cpu_seconds),
            network_receive_bytes=rate(now.network_receive_bytes, then.network_receive_bytes),
            network_transmit_bytes=rate(now.network_transmit_bytes, then.network_transmit_bytes),
            io_read_bytes=rate(now.io_read_bytes, then.io_read_bytes),
            io_write_bytes=rate(now.io_write_bytes, then.io_write_bytes),
            cpu_pressure=share(now.cpu_pressure_seconds, then.cpu_pressure_seconds),
            memory_pressure=share(now.memory_pressure_seconds, then.memory_pressure_seconds),
            io_pressure=share(now.io_pressure_seconds, then.io_pressure_seconds),
        ),
    )


_UNKNOWN = schema.Rates(
    cpu_cores=None,
    network_receive_bytes=None,
    network_transmit_bytes=None,
    io_read_bytes=None,
    io_write_bytes=None,
    cpu_pressure=None,
    memory_pressure=None,
    io_pressure=None,
)


def _counters(counters: Counters, container: Container | None = None) -> schema.Counters:
    def whole(scalar: Scalar) -> int | None:
        value = counters.scalars[scalar]
        return int(value) if value is not None else None

    def seconds(scalar: Scalar) -> float | None:
        value = counters.scalars[scalar]
        return float(value) if value is not None else None

    def total(table: Table, column: int) -> int | None:
        rows = counters.tables.get(table)
        if rows is None:
            return None
        values = [row[column] for labels, row in rows if labels[0] != _LOOPBACK]
        return sum(int(value) for value in values if value is not None)

    cpu, memory = seconds(Scalar.CPU_USAGE), whole(Scalar.MEMORY_USAGE)
    if container is not None and container.openvz is not None:
        # OpenVZ 6 has no cgroup: what its own accounting says is some seconds old.
        facts = container.openvz
        held = {each.resource: each.held for each in facts.beancounters}
        cpu = facts.cpu_seconds if cpu is None else cpu
        memory = held.get("physpages") if memory is None else memory
    return schema.Counters(
        cpu_seconds=cpu,
        memory_bytes=memory,
        memory_working_set_bytes=whole(Scalar.MEMORY_WORKING_SET),
        swap_bytes=whole(Scalar.MEMORY_SWAP),
        processes=whole(Scalar.PROCESSES),
        threads=whole(Scalar.THREADS),
        network_receive_bytes=total(Table.NETWORK, _RECEIVED),
        network_transmit_bytes=total(Table.NETWORK, _SENT),
        io_read_bytes=total(Table.IO_BYTES, 0),
        io_write_bytes=total(Table.IO_BYTES, 1),
        cpu_pressure_seconds=seconds(Scalar.PRESSURE_CPU_SOME),
        memory_pressure_seconds=seconds(Scalar.PRESSURE_MEMORY_SOME),
        io_pressure_seconds=seconds(Scalar.PRESSURE_IO_SOME),
        oom_kills=whole(Scalar.OOM_KILLS),
    )


_RECEIVED, _SENT = 0, 4
"""Columns of ``Table.NETWORK``."""
