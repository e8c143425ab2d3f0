"""Which machines there are: systemd-nspawn processes that run, and machines that are set up to.

A tree in /var/lib/machines alone is no container: images to clone from, chroots and unfinished
downloads are there, too, and nothing shows that they ever ran. It is a stopped machine when an
administrator set it up to run: with a .nspawn file of its name, or by enabling or changing its
systemd-nspawn@.service.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.nspawn.settings import IMAGE_PATHS, SETTINGS_PATHS
from collectors.engines.shared.first_process import first_inside, is_inside
from collectors.engines.shared.processes import binary_name
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collectors.contract import Context
    from collectors.facts import Process
    from collectors.hostfs import Dir

PROGRAM = "systemd-nspawn"
_UNITS = "etc/systemd/system"
_UNIT = re.compile(r"systemd-nspawn@(.+)\.service(\.d)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """A systemd-nspawn process on the outside, and the first process of its machine."""

    process: Process
    init: Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Where the files of a machine are: a directory tree, or a disk image (``NAME.raw``)."""

    machine: str
    path: str
    """Without ``.raw``."""
    is_tree: bool


def find_supervisors(ctx: Context) -> Iterator[Supervisor]:
    """Return the systemd-nspawn processes that have a machine running."""
    children = ctx.processes.children()
    for process in ctx.processes:
        parent = ctx.processes.get(process.ppid)
        if binary_name(process) != PROGRAM or (
            # With --as-pid2 the first process inside is a copy of the one outside.
            parent is not None and binary_name(parent) == PROGRAM and is_inside(process, parent)
        ):
            continue
        init = first_inside(process, ctx, children, own_pids=True)
        if init is not None:
            yield Supervisor(process=process, init=init)


def find_images(root: Dir, *, running: set[str]) -> Iterator[Image]:
    """Return the images of machines that are set up to run but do not."""
    for name in sorted(_set_up_machines(root) - running):
        for directory in IMAGE_PATHS:
            path = f"{directory}/{name}"
            is_tree = root.exists(path.lstrip("/"))
            if is_tree or root.exists(f"{path}.raw".lstrip("/")):
                yield Image(machine=name, path=path, is_tree=is_tree)
                break


def _set_up_machines(root: Dir) -> set[str]:
    """Return the names with a .nspawn file, or with a unit that was enabled or changed."""
    machines: set[str] = set()
    for directory in SETTINGS_PATHS:
        with suppress(HostReadError):
            names = root.listdir(directory.lstrip("/"))
            machines |= {n.removesuffix(".nspawn") for n in names if n.endswith(".nspawn")}
    with suppress(HostReadError):
        for name in root.listdir(_UNITS):
            machines |= set(_machines_of([name]))
            if name.endswith(".wants"):
                with suppress(HostReadError):
                    machines |= set(_machines_of(root.listdir(f"{_UNITS}/{name}")))
    return machines


def _machines_of(units: Iterable[str]) -> Iterator[str]:
    for name in units:
        unit = _UNIT.fullmatch(name)
        if unit is not None:
            yield unit[1]
