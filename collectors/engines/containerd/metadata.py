"""containerd's metadata database: containers and images by namespace, running or not.

``<root>/io.containerd.metadata.v1.bolt/meta.db``, laid out as core/metadata/buckets.go says.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.formats.bolt import DATABASE_LIMIT, BoltError, Bucket, read_bolt
from collectors.formats.documents import clean_text
from collectors.formats.oci_spec import Spec, parse_spec

if TYPE_CHECKING:
    from collectors.hostfs import Dir

log = logging.getLogger(__name__)

DATABASE = "io.containerd.metadata.v1.bolt/meta.db"

_GO_TIME = struct.Struct(">BqI")  # version, seconds since year 1, nanoseconds: Go's time.go
_YEAR_1 = 62_135_596_800  # seconds from year 1 to 1970
_SOURCE = "containerd.io/distribution.source."
_DOCKERS = "moby"
"""Docker's namespace: the Docker collector knows more of what is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A container as containerd's metadata has it."""

    namespace: str
    engine_id: str
    image: str = ""
    runtime: str = ""
    created: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    spec: Spec = field(default_factory=Spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A name for content, in one namespace."""

    digest: str
    """Of its manifest or index."""
    was_pulled: bool
    """Its content came from a registry, or went to one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """All of a containerd's containers and images, but for Docker's."""

    containers: Mapping[tuple[str, str], Record] = field(default_factory=dict)
    """By namespace and id."""
    images: Mapping[tuple[str, str], Image] = field(default_factory=dict)
    """By namespace and name."""


def load_metadata(directory: Dir, name: str, limit: int = DATABASE_LIMIT) -> Metadata | None:
    """Read the database, a loader for ``FileCache``; None when it does not parse."""
    try:
        top = read_bolt(directory, name, limit).bucket("v1")
        containers, images = {}, {}
        for namespace, bucket in top.buckets():
            if namespace == _DOCKERS:
                continue
            for engine_id, container in bucket.bucket("containers").buckets():
                containers[namespace, engine_id] = _record(namespace, engine_id, container)
            blobs = dict(bucket.bucket("content", "blob").buckets())
            for image, entry in bucket.bucket("images").buckets():
                digest = _text(entry.bucket("target").values().get("digest"))
                labels = blobs[digest].bucket("labels").values() if digest in blobs else {}
                images[namespace, clean_text(image)] = Image(
                    digest=digest, was_pulled=any(name.startswith(_SOURCE) for name in labels)
                )
    except BoltError as error:
        log.info("%s: %s", directory.path(name), error)
        return None
    return Metadata(containers=containers, images=images)


def _record(namespace: str, engine_id: str, bucket: Bucket) -> Record:
    values = bucket.values()
    runtime = bucket.bucket("runtime").values()
    return Record(
        namespace=namespace,
        engine_id=clean_text(engine_id),
        image=_text(values.get("image")),
        runtime=runtime_name(_text(runtime.get("name"))),
        created=parse_go_time(values.get("createdat", b"")),
        labels={clean_text(k): _text(v) for k, v in bucket.bucket("labels").values().items()},
        spec=_spec(values.get("spec", b"")),
    )


def _spec(data: bytes) -> Spec:
    """Take the runtime specification out of its protobuf Any: the only JSON object in it."""
    start = data.find(b"{")
    return (parse_spec(data[start:]) if start >= 0 else None) or Spec()


def parse_go_time(data: bytes) -> float | None:
    """Parse a time as Go's ``Time.MarshalBinary`` writes it."""
    if len(data) < _GO_TIME.size:
        return None
    version, seconds, nanoseconds = _GO_TIME.unpack_from(data)
    moment = seconds - _YEAR_1 + nanoseconds / 1e9
    return moment if version in (1, 2) and 0 < moment < 1 << 40 else None


def runtime_name(name: str) -> str:
    """Shorten ``io.containerd.runc.v2`` to ``runc``; other names stay as they are."""
    parts = name.split(".")
    return parts[2] if len(parts) == 4 and name.startswith("io.containerd.") else name


def _text(data: bytes | None) -> str:
    return clean_text(data.decode("utf-8", "replace")) if data is not None else ""
