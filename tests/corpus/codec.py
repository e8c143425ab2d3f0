"""Reads and writes subjects as compact JSON, without traces of the machine of the capture."""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from enum import Enum
from typing import TYPE_CHECKING, Any

from agent.model import Subject  # noqa: TC001 - the decoder looks its type up
from collectors.facts import (
    HostFacts,
    ImageFacts,
    Limits,
    Mount,
    NetworkFacts,
    Process,
    RootFacts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONG_ID = re.compile(r"([0-9a-f]{12})[0-9a-f]{52}")
_HOMES = ("/home/", "/root")
"""Paths of the host that say something about a container that they are mounted in."""
_NOT_KEPT = {"instance", "rootfs", "seen_by", "verdict", "expected_style", "findings", "cgroups"}
"""Fields of a container that are paths of the machine, or are judged again."""

_DROPPED: Mapping[type, frozenset[str]] = {
    ImageFacts: frozenset({"layers"}),
    Limits: frozenset({"cpuset"}),
    Mount: frozenset({"read_only"}),
    NetworkFacts: frozenset({"interfaces", "routes"}),
    Process: frozenset({"rss_bytes", "threads"}),
    RootFacts: frozenset({"files_seen", "units_enabled"}),
}
"""Fields that facts had when cases were captured, and that no longer exist."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A captured container with its label."""

    name: str
    style: str
    """``app`` or ``system``, by the definitions in docs/verdict.md."""
    sure: bool
    """Whether the definitions leave no doubt about the style."""
    findings: tuple[str, ...] = ()
    """Findings that the classifier must report."""
    absent: tuple[str, ...] = ()
    """Findings that it must not report."""
    about: str
    labelled: str = ""
    """The day on which it got its label, before it was judged; empty for the first rounds."""
    subject: Subject


def anonymous(subject: Subject) -> Subject:
    """Return a subject without what belongs to the machine and not to the container."""
    kept = {
        f.name: getattr(subject.container, f.name)
        for f in dataclasses.fields(subject.container)
        if f.name not in _NOT_KEPT
    }
    kept["mounts"] = tuple(m for m in kept["mounts"] if m.startswith(_HOMES))
    mounts = tuple(
        dataclasses.replace(m, source=m.fstype, options="", root="/")
        for m in subject.mounts or ()
        if m.target == "/"
    )
    root, network = subject.root, subject.network
    if network is not None:
        # In the network of the host these are sockets of the host, with their paths.
        named = tuple(x for x in network.listeners if x.protocol != "unix")
        network = dataclasses.replace(network, listeners=named)
    return dataclasses.replace(
        subject,
        container=type(subject.container)(**kept),
        host=HostFacts(
            nodename="host",
            boot_time=subject.host.boot_time,
            namespaces=subject.host.namespaces,
            root=subject.host.root,
            cpus=subject.host.cpus,
        ),
        processes=tuple(_with_short_cgroups(p) for p in subject.processes),
        mounts=mounts if subject.mounts is not None else None,
        root=dataclasses.replace(root, source=root.fstype) if root else None,
        network=network,
    )


def _with_short_cgroups(process: Process) -> Process:
    """Keep only the hierarchies in which an inner service manager makes cgroups."""
    kept = {k: v for k, v in process.cgroups.items() if k in ("", "name=systemd")}
    return dataclasses.replace(process, cgroups=kept)


def dumps(case: Case) -> str:
    """Return a case as JSON: defaults are left out, long ids are cut short."""
    text = json.dumps(_plain(case), indent=None, separators=(",", ":"), sort_keys=True)
    return _LONG_ID.sub(r"\1", text).replace('{"argv', '\n{"argv') + "\n"


def loads(text: str) -> Case:
    """Return the case that JSON holds."""
    case = _typed(Case, json.loads(text))
    assert isinstance(case, Case)
    return case


def _plain(value: object) -> Any:
    if isinstance(value, Mount) or dataclasses.is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if not _is_default(f, getattr(value, f.name))
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, frozenset):
        return sorted(_plain(v) for v in value)
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value


def _is_default(field: dataclasses.Field[Any], value: object) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return field.default is not dataclasses.MISSING and bool(value == field.default)


def _typed(kind: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _typed(arguments[0], value)
    if kind is int:
        return int(value)  # a key of a mapping is a string
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return tuple(_typed(arguments[0], v) for v in value)
        return tuple(_typed(k, v) for k, v in zip(arguments, value, strict=True))
    if origin is frozenset:
        return frozenset(_typed(arguments[0], v) for v in value)
    if origin is not None:  # a mapping
        return {_typed(arguments[0], k): _typed(arguments[1], v) for k, v in value.items()}
    if dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        kept = {k: v for k, v in value.items() if k not in _DROPPED.get(kind, ())}  # type: ignore[arg-type]
        return kind(**{k: _typed(hints[k], v) for k, v in kept.items()})  # type: ignore[operator]
    if isinstance(kind, type) and issubclass(kind, tuple):
        hints = _hints(kind)
        return kind(*(_typed(hints[f], v) for f, v in zip(kind._fields, value, strict=True)))  # type: ignore[attr-defined]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    return value


_known_hints: dict[Any, Mapping[str, Any]] = {}


def _hints(kind: Any) -> Mapping[str, Any]:
    if kind not in _known_hints:
        _known_hints[kind] = typing.get_type_hints(kind)
    return _known_hints[kind]
