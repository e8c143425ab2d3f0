"""The OpenAPI document of the API, made of the schema's classes; OpenAPI 3.1.0."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from agent.api import schema

ROOT = "/api/v1"

EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a query."""

    name: str
    about: str
    values: tuple[str, ...] = ()
    """All that it may be; empty: any text."""
    many: bool = False
    """It may be given several times, or have several values with commas between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A path and what it answers."""

    path: str
    name: str
    about: str
    answer: type[Any] | None
    """None for the OpenAPI document itself, and for events."""
    kind: str = "application/json"
    parameters: tuple[Parameter, ...] = ()
    by_id: bool = False
    tagged: bool = True
    """It has an ETag."""


_BOOLEAN = ("true", "false")
_USE = Parameter(
    name="use",
    about="Whether to read counters: with `false` nothing is read for this request.",
    values=_BOOLEAN,
)

OPERATIONS = (
    Operation(
        path="/containers",
        name="containers",
        about="All containers, each below the one it runs in, with what they use.",
        answer=schema.ContainerList,
        parameters=(
            Parameter(name="engine", about="Only those of these engines.", many=True),
            Parameter(
                name="style",
                about="Only those of these styles.",
                values=("app", "system", "unknown"),
                many=True,
            ),
            Parameter(
                name="removed",
                about="Also those that were removed and are remembered for a while.",
                values=_BOOLEAN,
            ),
            _USE,
        ),
    ),
    Operation(
        path="/containers/{id}",
        name="container",
        about="One container: evidence, findings, its processes as a tree, mounts, limits, use. "
        "The slashes of an id may be written as they are, or as `%2F`.",
        answer=schema.ContainerDetails,
        parameters=(_USE,),
        by_id=True,
    ),
    Operation(
        path="/use",
        name="use",
        about="What the host and each container use now, without all that changes seldom.",
        answer=schema.UseList,
    ),
    Operation(
        path="/host",
        name="host",
        about="The host: what it has, what is promised of it and used, how the collectors do.",
        answer=schema.Host,
        parameters=(_USE,),
        tagged=False,
    ),
    Operation(
        path="/events",
        name="events",
        about="What happens, as server-sent events: the data of each is an `Event`. A client that "
        "comes back with `Last-Event-ID` goes on from there; if it has missed some, it is sent "
        "`reset`. A stream ends after five minutes, and is resumed in that way. There are 64 "
        "streams for an address and 128 in all; another one is answered with 503.",
        answer=None,
        kind=EVENTS,
        tagged=False,
    ),
    Operation(path="/openapi.json", name="openapi", about="This document.", answer=None),
)

_ERRORS = {
    "400": "A parameter that there is not, or a value that it does not have.",
    "404": "There is no such container.",
    "405": "Only GET and HEAD are answered.",
    "503": "Too many requests, or streams, at the same time.",
}


def document() -> dict[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tallyman",
            "version": schema.VERSION,
            "description": "What runs on a host, read-only. Within version 1 no name is changed "
            "or removed; there may be new ones.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {ROOT + each.path: {"get": _operation(each)} for each in OPERATIONS},
        "components": {
            "schemas": {kind.__name__: _object(kind) for kind in classes()},
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        },
        "security": [{}, {"basic": []}],
    }


def classes() -> list[type[Any]]:
    """Return the classes of the schema, in the order in which they are declared."""
    return [
        kind
        for _, kind in vars(schema).items()
        if is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == schema.__name__
    ]


def _operation(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {"type": "object"}
    if operation.answer is not None:
        content = _reference(operation.answer)
    elif operation.kind == EVENTS:
        content = {"type": "string"}
    answers: dict[str, Any] = {
        "200": {"description": operation.about, "content": {operation.kind: {"schema": content}}}
    }
    if operation.tagged:
        answers["200"]["headers"] = {
            "ETag": {"description": "For `If-None-Match`.", "schema": {"type": "string"}}
        }
        answers["304"] = {"description": "It is as it was with the ETag that was sent."}
    problem = {"application/problem+json": {"schema": _reference(schema.Problem)}}
    for status, about in _ERRORS.items():
        if status != "404" or operation.by_id:
            answers[status] = {"description": about, "content": problem}
    parameters = [_parameter(each) for each in operation.parameters]
    if operation.by_id:
        parameters.insert(
            0,
            {
                "name": "id",
                "in": "path",
                "required": True,
                "description": "As in the list.",
                "schema": {"type": "string"},
            },
        )
    return {
        "operationId": operation.name,
        "summary": operation.about,
        "parameters": parameters,
        "responses": answers,
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": "string"}
    if parameter.values:
        kind["enum"] = list(parameter.values)
    if parameter.many:
        kind = {"type": "array", "items": kind, "minItems": 1, "maxItems": 10}
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.about,
        "schema": kind,
        **({"style": "form", "explode": True} if parameter.many else {}),
    }


def _object(kind: type[Any]) -> dict[str, Any]:
    properties = field_types(kind)
    return {
        "type": "object",
        "description": inspect.getdoc(kind) or "",
        "properties": {
            name: {**_schema(hint), "description": about}
            for name, (hint, about) in properties.items()
        },
        "required": list(properties),
    }


def field_types(kind: type[Any]) -> dict[str, tuple[Any, str]]:
    """Return type and description of each field of a class."""
    hints = get_type_hints(kind, vars(schema), include_extras=True)
    found = {}
    for field in fields(kind):
        hint = hints[field.name]
        about = ""
        if get_origin(hint) is Annotated:
            hint, about = get_args(hint)
        found[field.name] = hint, about
    return found


def _reference(kind: type[Any]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def _schema(hint: Any) -> dict[str, Any]:
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if is_dataclass(hint) and isinstance(hint, type):
        return _reference(hint)
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = [_schema(each) for each in inside]
        if all(each.keys() == {"type"} for each in kinds):
            return {"type": [each["type"] for each in kinds]}
        return {"anyOf": kinds}
    if origin is tuple:
        return {"type": "array", "items": _schema(inside[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(inside[1])}
    raise TypeError(hint)
