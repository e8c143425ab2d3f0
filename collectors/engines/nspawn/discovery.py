"""Which machines there are: systemd-nspawn processes that run, and machines that are set up to.

A tree in /var/lib/machines alone is no container: images to clone from, chroots and unfinished
downloads are there, too, and nothing shows that they ever ran. It is a stopped machine when an
administrator set it up to run: with a .nspawn file of its name, or by enabling or changing its
systemd-nspawn@.service. So it is when a system has booted in it, wherever it was imported from: the
first boot leaves a time stamp, systemd-update-done.service(8).

NixOS has a folder with the configuration of each of its containers:
nixos/modules/virtualisation/nixos-containers.nix.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.nspawn.settings import IMAGE_PATHS, IMAGES, SETTINGS_PATHS
from collectors.engines.shared.first_process import first_inside, is_inside
from collectors.engines.shared.processes import binary_name
from collectors.hostfs import HostReadError, or_none

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from collectors.contract import Context
    from collectors.facts import Process
    from collectors.hostfs import Dir

PROGRAM = "systemd-nspawn"
_UNITS = "etc/systemd/system"
_UNIT = re.compile(r"systemd-nspawn@(.+)\.service(\.d)?")
_BOOTED = ("var/.updated", "etc/.updated")
_MOST_TREES = 1000
_PODMANS = "etc/containers"
_NIXOS = {
    "etc/nixos-containers": "/var/lib/nixos-containers",
    _PODMANS: "/var/lib/containers",  # before 22.05; podman's are called so, too
}
"""The trees of NixOS's containers by the folder of their configuration."""

_NIXOS_LIMIT = 64 << 10
_NIXOS_SETTING = re.compile(r"^(SYSTEM_PATH|PRIVATE_NETWORK|AUTO_START)=", re.MULTILINE)


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
    unit: str = ""
    """The service that starts it; empty for systemd-nspawn@.service."""
    has_run: bool = True


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
    """Return the images of machines that are set up to run, or have run, but do not now."""
    of_nixos = {image.machine: image for image in _nixos_images(root)}
    yield from (image for name, image in sorted(of_nixos.items()) if name not in running)
    set_up = _set_up_machines(root)
    ran = _booted_trees(root, but=set_up | running)
    for name in sorted((set_up | ran) - running - of_nixos.keys()):
        for directory in IMAGE_PATHS:
            path = f"{directory}/{name}"
            is_tree = root.exists(path.lstrip("/"))
            if is_tree or root.exists(f"{path}.raw".lstrip("/")):
                yield Image(machine=name, path=path, is_tree=is_tree)
                break


def _booted_trees(root: Dir, *, but: Collection[str]) -> set[str]:
    """Return the names of the trees in /var/lib/machines in which a system has booted."""
    booted: set[str] = set()
    with suppress(HostReadError):
        for name in root.subdirectories(IMAGES.lstrip("/"), _MOST_TREES):
            # What is hidden is an unfinished download, a lock, or what a download was made of.
            if name.startswith(".") or name in but:
                continue
            # Confined: links in a tree are those of whoever is root in it.
            with suppress(HostReadError), root.open_dir(f"{IMAGES}/{name}", confined=True) as tree:
                if any(tree.exists(stamp) for stamp in _BOOTED):
                    booted.add(name)
    return booted


def _nixos_images(root: Dir) -> Iterator[Image]:
    """Return NixOS's containers: ``NAME.conf`` with the settings of container@NAME.service."""
    for folder, trees in _NIXOS.items():
        try:
            names = root.listdir(folder)
        except HostReadError:
            continue
        for name in (n.removesuffix(".conf") for n in names if n.endswith(".conf")):
            path = f"{trees}/{name}"
            has_run = root.exists(path)  # its first start makes the tree
            if not has_run and folder == _PODMANS:
                continue
            text = or_none(root.read_text, f"{folder}/{name}.conf", _NIXOS_LIMIT) or ""
            if _NIXOS_SETTING.search(text):
                unit = f"container@{name}.service"
                yield Image(machine=name, path=path, is_tree=True, unit=unit, has_run=has_run)


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
