"""The containers/storage store, which podman, CRI-O and buildah share: where it is, its images.

containers-storage.conf(5); ``<driver>-images`` and ``<driver>-layers`` as in
https://github.com/containers/storage/blob/main/images.go and layers.go
"""

from __future__ import annotations

import base64
import posixpath
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.engines.shared.files import CONFIG_LIMIT
from collectors.formats.documents import JsonObject, as_objects, parse_json, parse_object
from collectors.formats.oci_image import image_facts, repository
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.contract import Context
    from collectors.facts import ImageFacts
    from collectors.hostfs import Dir

_IMAGES_LIMIT = 5000
_LAYERS_LIMIT = 200  # of one image
_CONFIGURATION_LIMIT = 1 << 18
_CONFIGURATIONS = ("/etc/containers/storage.conf", "/usr/share/containers/storage.conf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locations:
    """Where a store is."""

    graphroot: str
    """What stays: images, containers, podman's database."""
    runroot: str
    """What is gone after a reboot: pid files."""


def root_locations(ctx: Context) -> Locations:
    """Return where root's store is on the host."""
    for path in _CONFIGURATIONS:
        storage = _storage_section(ctx, path)
        if storage:
            break
    else:
        storage = {}
    return Locations(
        graphroot=_path(storage.get("graphroot")) or "/var/lib/containers/storage",
        runroot=_path(storage.get("runroot")) or "/run/containers/storage",
    )


def user_locations(ctx: Context, uid: int, home: str) -> Locations:
    """Return where a user's store is on the host."""
    storage = _storage_section(ctx, f"{home}/.config/containers/storage.conf")
    return Locations(
        graphroot=_path(storage.get("graphroot")) or f"{home}/.local/share/containers/storage",
        runroot=_path(storage.get("runroot")) or f"/run/user/{uid}/containers",
    )


def _storage_section(ctx: Context, path: str) -> dict[str, object]:
    try:
        document = tomllib.loads(ctx.host.root.read_text(path, _CONFIGURATION_LIMIT))
    except (HostReadError, tomllib.TOMLDecodeError, RecursionError):
        return {}
    storage = document.get("storage")
    return storage if isinstance(storage, dict) else {}


def _path(value: object) -> str:
    return posixpath.normpath(value) if isinstance(value, str) and value.startswith("/") else ""


def folders(graph: Dir, suffix: str) -> list[str]:
    """Return the directories of a kind, one for each storage driver that was ever used."""
    try:
        return [name for name in graph.subdirectories() if name.endswith(suffix)]
    except HostReadError:
        return []


def load_images(directory: Dir, name: str) -> dict[str, ImageFacts] | None:
    """Read ``<driver>-images/images.json`` and what it refers to; None when it is not a list."""
    document = parse_json(directory.read(name, CONFIG_LIMIT * 4))
    if not isinstance(document, list):
        return None
    folder = posixpath.dirname(name)
    layers = _layers(directory, folder.removesuffix("-images") + "-layers/layers.json")
    images = {}
    for image in as_objects(document[:_IMAGES_LIMIT]):
        image_id = image.text("id")
        # Every image has a digest here; only that of one from a registry is known there, too.
        names = [n for n in image.texts("names") if not n.startswith("localhost/")]
        digest = image.text("digest")
        images[image_id] = image_facts(
            _configuration(directory, folder, image_id),
            image_id=image_id,
            digests=tuple(f"{repository(n)}@{digest}" for n in names) if digest else (),
            size_bytes=_size(layers, image.text("layer")),
        )
    return images


def _configuration(directory: Dir, folder: str, image_id: str) -> JsonObject:
    """Read an image's configuration: "big data" named by the digest, in base64 as a file name."""
    name = base64.b64encode(f"sha256:{image_id}".encode()).decode()
    try:
        data = directory.read(f"{folder}/{image_id}/={name}", CONFIG_LIMIT)
    except HostReadError:
        return JsonObject()
    return parse_object(data) or JsonObject()


def _layers(directory: Dir, name: str) -> dict[str, JsonObject]:
    try:
        document = parse_json(directory.read(name, CONFIG_LIMIT * 8))
    except HostReadError:
        return {}
    return {layer.text("id"): layer for layer in as_objects(document)}


def _size(layers: Mapping[str, JsonObject], top: str) -> int | None:
    """Add up what an image's layers unpack to."""
    total = None
    for _ in range(_LAYERS_LIMIT):
        layer = layers.get(top)
        size = layer.integer("diff-size") if layer is not None else None
        if layer is None or size is None:
            break
        total = (total or 0) + size
        top = layer.text("parent")
    return total
