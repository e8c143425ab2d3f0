"""A container on the page: its label text and the samples of its inventory, rendered once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.exposition.oom_kills import OomKills
from agent.exposition.restarts import Restarts
from agent.exposition.samples import container_samples, is_alive
from agent.exposition.text import braces, identity, label_value, number, pairs
from agent.metrics import CATALOGUE
from agent.model import is_running
from collectors.kernel.counters import Target

if TYPE_CHECKING:
    from agent.exposition.options import Options
    from agent.model import Container

INDEX = {metric.name: index for index, metric in enumerate(CATALOGUE)}
"""Index of each metric in the catalogue, by name; the page is in that order."""

_LABEL_NAME = str.maketrans({c: "_" for c in map(chr, range(128)) if not c.isalnum()})


class Row:
    """One container as the page shows it; replaced when the scout reports a change of it."""

    __slots__ = (
        "alive",
        "base",
        "container",
        "id",
        "id_only",
        "last_seen",
        "lines",
        "oom_kills",
        "open",
        "restarts",
        "runs",
        "series",
        "target",
    )

    def __init__(self, container: Container, options: Options, before: Row | None = None) -> None:
        self.container = container
        self.alive = is_alive(container)
        self.runs = is_running(container)
        self.id = identity(container.id)
        self.id_only = braces(f'id="{self.id}"')
        """Label text of its ``tallyman_container_*`` series."""
        self.open = b"{" + _base_labels(container, self.id, options).encode()
        """Label text of its ``container_*`` series, up to where more labels may follow."""
        self.base = self.open + b"} "
        self.last_seen = container.finished or container.last_seen or 0.0
        """When it was last known to run, seconds since the epoch; 0 if never."""
        self.oom_kills: OomKills = OomKills(container) if before is None else before.oom_kills
        self.restarts: Restarts = Restarts(container) if before is None else before.restarts
        if before is not None:
            self.oom_kills.follow(container)
            self.restarts.follow(container)
            self.last_seen = max(self.last_seen, before.last_seen)
        self.target = _target(container) if self.alive else None
        """What to read at each scrape; None of a container that does not run."""
        self.lines: dict[int, bytes] = {}
        """By index in the catalogue: its samples without the metric's name in front of each."""
        self.series = 0
        self._render(options)

    def _render(self, options: Options) -> None:
        own = f'id="{self.id}"'
        plain = self.id_only
        whole = "beancounters" in options.groups
        container = replace(self.container, restarts=self.restarts.total)
        for name, value, labels in container_samples(container, all_beancounters=whole):
            if not options.shows(name):
                continue
            if name.startswith("container_"):
                label_text = (
                    self.open + b"," + pairs(labels).encode() + b"} " if labels else self.base
                )
            else:
                more = pairs(labels)
                label_text = braces(f"{own},{more}") if more else plain
            line = label_text + number(value)
            index = INDEX[name]
            before = self.lines.get(index)
            # A second sample of the family needs the metric's name that stands between them.
            between = b"\n" + name.encode()
            self.lines[index] = line if before is None else before + between + line
            self.series += 1


def _target(c: Container) -> Target | None:
    if not c.cgroups and c.init is None:
        return None
    return Target(
        id=c.id,
        cgroups=c.cgroups,
        init=c.init,
        own_network=c.network == "own",
        quota=c.limits.own_quota,
    )


def _base_labels(c: Container, shown_id: str, options: Options) -> str:
    own = [(_label_name(key), c.labels[key]) for key in options.container_labels if key in c.labels]
    more = pairs(
        (
            ("container", c.container_name),
            ("pod", c.pod),
            ("namespace", c.namespace),
            *dict(own).items(),
        )
    )
    name, image = label_value(c.name), label_value(c.image)
    return f'id="{shown_id}",name="{name}",image="{image}"' + (f",{more}" if more else "")


def _label_name(key: str) -> str:
    ascii_only = key.encode("ascii", "replace").decode("ascii")
    return "container_label_" + ascii_only.translate(_LABEL_NAME)
