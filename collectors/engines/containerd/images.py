"""Images in containerd's content store: manifests and configurations by their digest.

``<root>/io.containerd.content.v1.content/blobs/<algorithm>/<hash>``, as the OCI image
specification's descriptor.md, image-index.md and manifest.md say.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from collectors.facts import ImageFacts
from collectors.formats.documents import JsonObject, parse_object
from collectors.formats.oci_image import image_facts, repository
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.engines.containerd.metadata import Image
    from collectors.hostfs import Dir

_BLOBS = "io.containerd.content.v1.content/blobs"
_DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,128}")
_DOCUMENT_LIMIT = 4 << 20
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""The names that images have for the machines that uname(2) names."""


def read_image(root: Dir, reference: str, image: Image) -> ImageFacts:
    """Return an image's facts; only name and digest where its content is not there."""
    digest = image.digest
    digests = (f"{repository(reference)}@{digest}",) if image.was_pulled else ()
    facts = ImageFacts(reference=reference, id=digest, digests=digests)
    manifest = _document(root, digest)
    if manifest.objects("manifests"):
        manifest = _document(root, _of_this_machine(manifest))
    config_digest = manifest.object("config").text("digest")
    config = _document(root, config_digest)
    if not config:
        return facts
    sizes = [layer.integer("size") or 0 for layer in manifest.objects("layers")]
    return image_facts(
        config,
        image_id=config_digest,
        reference=reference,
        digests=digests,
        size_bytes=sum(sizes) or None,
    )


def _document(root: Dir, digest: str) -> JsonObject:
    if not _DIGEST.fullmatch(digest):
        return JsonObject()
    algorithm, _, value = digest.partition(":")
    try:
        data = root.read(f"{_BLOBS}/{algorithm}/{value}", _DOCUMENT_LIMIT)
    except HostReadError:
        return JsonObject()
    return parse_object(data) or JsonObject()


def _of_this_machine(index: JsonObject) -> str:
    machine = os.uname().machine
    wanted = _MACHINES.get(machine, machine)
    entries = index.objects("manifests")
    for entry in entries:
        platform = entry.object("platform")
        if platform.text("architecture") == wanted and platform.text("os") in ("linux", ""):
            return entry.text("digest")
    return entries[0].text("digest")
