"""What a Docker daemon keeps on disk, read when it does not answer.

``<data-root>/containers/<id>/config.v2.json`` and ``hostconfig.json``, which the daemon writes
whenever a container's state changes (moby's daemon/container/container.go), and the images'
configurations in ``<data-root>/image/<driver>/imagedb``.
"""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING

from collectors.engines.docker.container import CgroupRule, Described, describe
from collectors.engines.shared.files import FileCache, read_object
from collectors.formats.documents import JsonObject
from collectors.formats.oci_image import image_facts
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.facts import ImageFacts
    from collectors.hostfs import Dir

_NEVER = float("inf")
_CONFIG = "config.v2.json"
_REMAPPED = re.compile(r"\d+\.\d+")  # a data root for each user namespace: <uid>.<gid>
_IMAGE_ID = re.compile(r"sha256:([0-9a-f]{64})")


class DiskReader:
    """Reads a data root; a container's files are parsed again only when they changed."""

    def __init__(self) -> None:
        self._rule = CgroupRule()
        self._containers = FileCache(self._load)
        self.is_complete = True
        """The last reading was not cut short."""

    def read(self, root: Dir, rule: CgroupRule, until: float = _NEVER) -> list[Described]:
        """Return the containers of a data root. Raises HostReadError where there is none.

        ``until`` is when to stop, on the monotonic clock; then these are not all.
        """
        self._rule = rule
        self.is_complete = True
        described: list[Described] = []
        with root.open_dir(containers_of(root)) as containers:
            for engine_id in containers.subdirectories():
                if monotonic() > until:
                    self.is_complete = False
                    return described
                try:
                    with containers.open_dir(engine_id) as own:
                        container = self._containers.get(own, _CONFIG)
                except HostReadError:
                    continue  # half made, or just removed
                if container is not None:
                    described.append(container)
        self._containers.sweep()
        return described

    def _load(self, own: Dir, name: str) -> Described | None:
        document = read_object(own, name)
        host_config = read_object(own, "hostconfig.json") or JsonObject()
        return describe(document, host_config, self._rule) if document is not None else None


def containers_of(root: Dir) -> str:
    """Find the directory of the containers, which userns-remap puts one level deeper."""
    if root.exists("containers"):
        return "containers"
    for name in root.subdirectories():
        if _REMAPPED.fullmatch(name) and root.exists(f"{name}/containers"):
            return f"{name}/containers"
    return "containers"


def read_image(root: Dir, image_id: str) -> ImageFacts | None:
    """Read an image's configuration from disk; None where there is none."""
    match = _IMAGE_ID.fullmatch(image_id)
    if match is None:
        return None
    try:
        for driver in root.subdirectories("image"):
            folder = f"image/{driver}/imagedb/content/sha256"
            if root.exists(f"{folder}/{match[1]}"):
                with root.open_dir(folder) as images:
                    document = read_object(images, match[1])
                return image_facts(document, image_id=image_id) if document is not None else None
    except HostReadError:
        return None
    return None
