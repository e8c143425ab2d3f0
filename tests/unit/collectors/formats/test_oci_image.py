from __future__ import annotations

import pytest

from collectors.facts import ImageFacts
from collectors.formats.documents import JsonObject
from collectors.formats.oci_image import image_facts, repository


def test_what_an_images_configuration_says() -> None:
    document = JsonObject(
        {
            "created": "1970-01-01T00:01:40Z",
            "config": {
                "Labels": {"team": "x", "count": 3},
                "Entrypoint": ["/init"],
                "Cmd": ["serve", "--all"],
            },
        }
    )
    facts = image_facts(document, image_id="sha256:1", reference="web", size_bytes=7)
    assert facts == ImageFacts(
        reference="web",
        id="sha256:1",
        created=100.0,
        size_bytes=7,
        labels={"team": "x"},
        entrypoint=("/init",),
        command=("serve", "--all"),
    )


@pytest.mark.parametrize("config", [None, 1, [], {"Cmd": "serve", "Entrypoint": None}])
def test_what_is_not_as_it_should_be_is_left_out(config: object) -> None:
    document = JsonObject({"config": config, "created": "yesterday"})
    assert image_facts(document, image_id="x") == ImageFacts(id="x")


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("nginx", "nginx"),
        ("nginx:1.25", "nginx"),
        ("docker.io/library/nginx:1.25@sha256:abc", "docker.io/library/nginx"),
        ("localhost:5000/nginx", "localhost:5000/nginx"),
        ("localhost:5000/nginx:1.25", "localhost:5000/nginx"),
        ("", ""),
    ],
)
def test_a_port_of_a_registry_is_no_tag(reference: str, name: str) -> None:
    assert repository(reference) == name
