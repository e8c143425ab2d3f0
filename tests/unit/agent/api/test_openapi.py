"""The OpenAPI document, and that it is of the very classes that are sent."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import jsonschema
import pytest

from agent.api import objects, openapi, schema
from agent.api.encode import plain
from agent.selection import Selection
from tests.support import CLONE
from tests.support.snapshots import LEGACY, SERVICE, picture


def check(value: object, kind: type[Any]) -> None:
    """Hold what is sent against the document, and against anything that is not in it."""
    document = openapi.document()
    for each in document["components"]["schemas"].values():
        each["additionalProperties"] = False
    reference = {"$ref": f"#/components/schemas/{kind.__name__}"}
    jsonschema.Draft202012Validator({**document, **reference}).validate(value)


@pytest.mark.parametrize(
    "value",
    [
        *objects.listed(picture(), Selection(gone=True)),
        *(objects.explained(c, picture()) for c in picture().containers.values()),
        objects.host(picture()),
        objects.look_alike(SERVICE),
    ],
)
def test_every_object_is_as_the_document_says(value: object) -> None:
    check(plain(value), type(value))


def test_a_wrong_object_is_found() -> None:
    shown = plain(objects.explained(LEGACY, picture()))
    with pytest.raises(jsonschema.ValidationError):
        check({**shown, "score": "high"}, schema.ContainerDetails)
    with pytest.raises(jsonschema.ValidationError):
        check({**shown, "environment": {}}, schema.ContainerDetails)


def test_every_field_is_described() -> None:
    for kind in openapi.classes():
        for name, (_, about) in openapi.field_types(kind).items():
            assert about.endswith((".", "…")), f"{kind.__name__}.{name}"


def test_no_environment_is_in_the_schema() -> None:
    names = {n for kind in openapi.classes() for n in openapi.field_types(kind)}
    assert not {name for name in names if "env" in name and name != "event_lag_seconds"}


def test_the_page_of_the_api_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent.api"], capture_output=True, text=True, check=True
    )
    assert (CLONE / "docs/api.md").read_text() == done.stdout


def test_the_document_is_json() -> None:
    assert json.loads(json.dumps(openapi.document()))["info"]["version"] == schema.VERSION
