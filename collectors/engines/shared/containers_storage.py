"""Images in a containers/storage store: ``<driver>-images`` and ``<driver>-layers``.

https://github.com/containers/storage/blob/main/images.go and layers.go
"""

from __future__ import annotations

import base64
import posixpath
from typing import TYPE_CHECKING

from collectors.engines.shared.files import CONFIG_LIMIT
from collectors.formats.documents import JsonObject, as_objects, parse_json, parse_object
from collectors.formats.oci_image import image_facts, repository
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.facts import ImageFacts
    from collectors.hostfs import Dir

_IMAGES_LIMIT = 5000
_LAYERS_LIMIT = 200  # of one image


def folders(graph: Dir, suffix: str) -> list[str]:
    """Return the folders of a kind, one for each storage driver that was ever used."""
    try:
        return [name for name in graph.subdirectories() if name.endswith(suffix)]
    except HostReadError:
        return []


def load_images(directory: Dir, name: str) -> dict[str, ImageFacts] | None:
    """Read ``<driver>-images/images.json`` with what belongs to it; None when it is none."""
    document = parse_json(directory.read(name, CONFIG_LIMIT * 4))
    if not isinstance(document, list):
        return None
    folder = posixpath.dirname(name)
    layers = _layers(directory, folder.removesuffix("-images") + "-layers/layers.json")
    found = {}
    for image in as_objects(document[:_IMAGES_LIMIT]):
        image_id = image.text("id")
        # Every image has a digest here; only one that came from a registry has it there, too.
        names = [n for n in image.texts("names") if not n.startswith("localhost/")]
        digest = image.text("digest")
        found[image_id] = image_facts(
            _configuration(directory, folder, image_id),
            image_id=image_id,
            digests=tuple(f"{repository(n)}@{digest}" for n in names) if digest else (),
            size_bytes=_size(layers, image.text("layer")),
        )
    return found


def _configuration(directory: Dir, folder: str, image_id: str) -> JsonObject:
    """Read an image's configuration: "big data" of its own digest, in base64 as a file name."""
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
