"""What vzlist's numbers can be: it prints memory that was never set, and what a kernel miscounted.

A number beyond its bound is one that vzlist did not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.engines.openvz.units import BLOCK, MAX_CPU_UNITS, MIN_CPU_UNITS
from collectors.engines.openvz.vzlist.values import as_integer
from collectors.kernel.beancounters import amount, unit_of

if TYPE_CHECKING:
    from collectors.engines.openvz.vzlist.values import Fields, Value

_MOST_CPUS = 8192
"""CONFIG_NR_CPUS of x86-64 at most, arch/x86/Kconfig."""

_MOST_TASKS = 1 << 22
"""PID_MAX_LIMIT, include/linux/threads.h: a load is a number of tasks."""

_CENTURY = 100 * 365.25 * 86400

_MOST_MEMORY = 1 << 52
"""Bytes that x86-64 can address, Documentation/arch/x86/x86_64/5level-paging.rst."""

_MOST_COUNTED = 1 << 32

_RANGES: dict[str, tuple[float, float]] = {
    # The kernel's limit is an unsigned int that vzlist prints as a signed one; -1 is not set.
    "iolimit": (0, (1 << 31) - 1),
    "iopslimit": (0, (1 << 31) - 1),
    "cpuunits": (MIN_CPU_UNITS, MAX_CPU_UNITS),
    "cpus": (1, _MOST_CPUS),
    "cpulimit": (1, 100 * _MOST_CPUS),
    "uptime": (0, _CENTURY),
}

_USAGES = {
    "diskspace": (1 << 60) // BLOCK,  # ext4's largest file system, which is one of 2^32 inodes
    "diskinodes": 1 << 32,
}

_COUNTS = ("held", "maxheld")


def without_absurd(fields: Fields) -> tuple[Fields, tuple[str, ...]]:
    """Leave out the numbers of a container that cannot be, and return their names as well.

    Limits of beancounters and quotas may be anything: there are many ways to write unlimited.
    """
    possible: dict[str, Value] = {}
    absurd: list[str] = []
    for name, value in fields.items():
        if isinstance(value, dict):
            wrong = [part for part in value if _is_absurd_part(name, part, value[part])]
            absurd += (f"{name}.{part}" for part in wrong)
            possible[name] = {p: v for p, v in value.items() if p not in wrong} if wrong else value
        elif _is_absurd(name, value):
            absurd.append(name)
        else:
            possible[name] = value
    return possible, tuple(absurd)


def _is_absurd(name: str, value: Value) -> bool:
    if name == "laverage":
        loads = value if isinstance(value, list) else []
        return any(isinstance(load, (int, float)) and load > _MOST_TASKS for load in loads)
    if name not in _RANGES or isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    least, most = _RANGES[name]
    return value > most or 0 < value < least


def _is_absurd_part(name: str, part: str, value: Value) -> bool:
    number = amount(as_integer(value))
    if number is None:
        return False
    if name in _USAGES:
        return part == "usage" and number > _USAGES[name]
    most = _MOST_COUNTED if name.startswith("num") else _MOST_MEMORY // unit_of(name)
    return part in _COUNTS and number > most
