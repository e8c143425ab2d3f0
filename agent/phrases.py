"""Ages, percentages, names and verdicts as text, the same in the CLI and on the HTML pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.model import Style
from agent.sanitize import printable
from collectors.catalogue import BY_NAME, MadeFor
from collectors.kernel.virtualization import is_inside

if TYPE_CHECKING:
    from agent.classifier import FindingKind
    from agent.model import Container, Finding
    from collectors.facts import HostFacts

_UNITS = ((86400.0, "d", "day"), (3600.0, "h", "hour"), (60.0, "m", "minute"), (1.0, "s", "second"))

_STEP = 1024
"""Bytes in a KiB, and so on."""

_HEXADECIMAL = re.compile("[0-9a-f]{32,}")

_MADE_FOR = {
    Style.APP: "an engine made for applications",
    Style.SYSTEM: "an engine made for systems",
}
_TOLD = {
    Style.APP: "an engine told to run a program",
    Style.SYSTEM: "an engine told to boot a system",
}
_CONTAINERS = {"openvz": "OpenVZ", "lxc": "LXC", "container-other": "of an unknown kind"}
_IS = {Style.APP: "a single application", Style.SYSTEM: "a small server of its own"}


def age(seconds: float | None) -> str:
    """Return a time span in its largest unit, such as ``3d``; empty if it is unknown."""
    if seconds is None:
        return ""
    for size, letter, _ in _UNITS:
        if seconds >= size:
            return f"{int(seconds / size)}{letter}"
    return "0s"


def long_age(seconds: float) -> str:
    """Return a time span in words, such as ``3 days``."""
    for size, _, word in _UNITS:
        if seconds >= size:
            number = int(seconds / size)
            return f"{number} {word}{'' if number == 1 else 's'}"
    return "less than a second"


def percent(ratio: float) -> str:
    """Return a ratio of 0 to 1 as whole percents; only 1 itself becomes 100 %."""
    return f"{min(99, round(ratio * 100)) if ratio < 1 else 100} %"


def title(container: Container) -> str:
    """Return a container's name, or else its short id."""
    return printable(container.name or short_id(container) or container.id)


def inside(host: HostFacts) -> str:
    """Return a note that the agent runs in a container itself; empty if it does not."""
    if not is_inside(host):
        return ""
    what = _CONTAINERS.get(host.virtualization, host.virtualization)
    return f"Tallyman runs inside a container ({what}) and sees nothing outside of it."


def short_id(container: Container) -> str:
    """Return an id as engines show it: 12 digits of ``libpod-<64 digits>``, ``lxc-101`` whole."""
    own = container.engine_id or container.id.rpartition("/")[2]
    digits = _HEXADECIMAL.search(own)
    return digits[0][:12] if digits else own


def operating_system(container: Container) -> str:
    """Return name and version of a container's operating system; empty if it was not read."""
    name, version = printable(container.os_name), printable(container.os_version)
    return name if version in name else f"{name} {version}".lstrip()


def sentence(text: str) -> str:
    """Return the text of a rule as a sentence, with a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def state(container: Container) -> str:
    """Return a container's state in one word."""
    return "removed" if container.gone else container.state.value


def verdict(container: Container) -> str:
    """Return the verdict in one sentence."""
    name, engine = title(container), printable(container.engine)
    judged, expected = container.verdict, container.expected_style
    if judged.override:
        rule = printable(judged.override)
        return f"{name} is {judged.style}-style because your configuration says so ({rule})."
    if judged.style is Style.UNKNOWN and judged.services is not None:
        return f"{name} may be {_IS[Style.APP]} or {_IS[Style.SYSTEM]}: both readings are fair."
    if judged.style is Style.UNKNOWN:
        return f"{name} could not be judged: too little of it could be read."
    figures = f"score {judged.score:+.2f}, confidence {percent(judged.confidence)}"
    what = f"{judged.style}-style: {_IS[judged.style]}"
    if expected is Style.UNKNOWN:
        return f"{name} is {what} ({figures})."
    if expected is judged.style:
        return f"{name} is {what}, in {_engine(container)} ({engine}; {figures})."
    if container.mismatch:
        return f"{name} is {what}, although in {_engine(container)} ({engine}; {figures})."
    return (
        f"{name} looks {what}, although in {_engine(container)}, but that is uncertain "
        f"({engine}; {figures})."
    )


def _engine(container: Container) -> str:
    """Return the kind of an engine: what it is made for, or what it was told about this one."""
    engine, expected = BY_NAME.get(container.engine), container.expected_style
    by_nature = engine is None or engine.made_for in (MadeFor.UNKNOWN, MadeFor(expected.value))
    return (_MADE_FOR if by_nature else _TOLD)[expected]


def limits(container: Container) -> str:
    """Return what a container is limited to and by which cgroup; empty if nothing is limited."""
    allowed = container.limits
    on_v1 = "memory" in container.cgroups
    parts = (
        ("memory", "memory", _size(allowed.memory_bytes)),
        ("swap", "memory and swap" if on_v1 else "swap", _size(allowed.memory_swap_bytes)),
        ("cpu", "CPUs", f"{allowed.cores:g}" if allowed.cores is not None else ""),
        ("pids", "processes", str(allowed.pids) if allowed.pids is not None else ""),
    )
    return ", ".join(
        f"{word} {value}{_set_by(allowed.set_by(key))}" for key, word, value in parts if value
    )


def _set_by(cgroup: str | None) -> str:
    if cgroup is None:
        return ""
    return f" (set by {printable(cgroup)})" if cgroup else " (set above all visible cgroups)"


def _size(number: int | None) -> str:
    """Return bytes in the largest unit that leaves at least 1, with one decimal where needed."""
    if number is None:
        return ""
    value, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < _STEP:
            break
        value, unit = value / _STEP, larger
    return f"{round(value, 1):g} {unit}"


def finding_kind(finding: Finding) -> FindingKind | None:
    """Return the general explanation of a finding; None if the catalogue has none."""
    from agent.classifier import CATALOGUE  # noqa: PLC0415 - ls does not need it

    return next((kind for kind in CATALOGUE if kind.name == finding.name), None)
