"""What an image's own configuration says: the OCI image specification's config.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.facts import ImageFacts

if TYPE_CHECKING:
    from collectors.formats.documents import JsonObject


def image_facts(
    document: JsonObject,
    *,
    image_id: str,
    reference: str = "",
    digests: tuple[str, ...] = (),
    size_bytes: int | None = None,
) -> ImageFacts:
    """Read an image configuration, as it lies in podman's, Docker's or containerd's store."""
    config = document.object("config")
    return ImageFacts(
        reference=reference,
        id=image_id,
        digests=digests,
        created=document.time("created"),
        size_bytes=size_bytes,
        labels=config.text_map("Labels"),
        entrypoint=config.texts("Entrypoint"),
        command=config.texts("Cmd"),
    )


def repository(reference: str) -> str:
    """Return an image's name without tag and digest: ``docker.io/library/nginx``."""
    head, slash, last = reference.partition("@")[0].rpartition("/")
    return head + slash + last.partition(":")[0]
