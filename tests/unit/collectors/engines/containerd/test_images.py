from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest

from collectors.engines.containerd.images import read_image
from collectors.engines.containerd.metadata import Image
from collectors.facts import ImageFacts
from tests.support.engine_host import EngineHost

BLOBS = "/root/io.containerd.content.v1.content/blobs/sha256"
OWN = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


def put(host: EngineHost, document: object) -> str:
    """Put a document into the content store, and return its digest."""
    data = json.dumps(document).encode()
    name = sha256(data).hexdigest()
    host.write(f"{BLOBS}/{name}", data)
    return f"sha256:{name}"


def manifest(host: EngineHost, command: str, sizes: tuple[int, ...]) -> str:
    config = put(host, {"config": {"Cmd": [command]}})
    layers = [{"size": size} for size in sizes]
    return put(host, {"config": {"digest": config}, "layers": layers})


def read(host: EngineHost, digest: str, *, was_pulled: bool = False) -> ImageFacts:
    image = Image(digest=digest, was_pulled=was_pulled)
    with host.context().host.root.open_dir("root", confined=True) as root:
        return read_image(root, "reg.example/web:1", image)


def test_a_manifest_leads_to_the_configuration_and_the_sizes(host: EngineHost) -> None:
    digest = manifest(host, "serve", (100, 23))
    facts = read(host, digest, was_pulled=True)
    assert (facts.command, facts.size_bytes) == (("serve",), 123)
    assert facts.digests == (f"reg.example/web@{digest}",)


def test_of_several_platforms_this_machines_own_is_read(host: EngineHost) -> None:
    entries = [
        {"digest": manifest(host, name, ()), "platform": {"architecture": name, "os": system}}
        for name, system in (("other", "linux"), (OWN, "windows"), (OWN, "linux"))
    ]
    entries[1]["digest"] = manifest(host, "windows", ())
    assert read(host, put(host, {"manifests": entries})).command == (OWN,)
    assert read(host, put(host, {"manifests": entries[:1]})).command == ("other",)


@pytest.mark.parametrize("digest", ["", "sha256:../../../../etc/passwd", f"sha256:{'0' * 64}"])
def test_of_content_that_is_not_there_only_the_name_is_known(host: EngineHost, digest: str) -> None:
    host.write(f"{BLOBS}/other", "{}")
    assert read(host, digest) == ImageFacts(reference="reg.example/web:1", id=digest)


def test_a_manifest_that_leads_to_itself(host: EngineHost) -> None:
    name = "1" * 64
    host.write(f"{BLOBS}/{name}", {"manifests": [{"digest": f"sha256:{name}"}]})
    assert read(host, f"sha256:{name}").command == ()
