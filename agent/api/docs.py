"""docs/api.md, made of the schema."""

from __future__ import annotations

import inspect
import textwrap
import types
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, Union, get_args, get_origin

from agent.api import openapi

_HEAD = f"""\
# API
<!-- Generated: python -m agent.api > docs/api.md -->

Read-only JSON on the agent's own port, with the TLS, passwords and limits of every other page
(`--web.config.file`). `tallyman ls --json` prints a list of `Container` objects (and, with
`--all`, of `LookAlike`), `tallyman explain --json` one `ContainerDetails`: the schema is the
same.

    curl -s localhost:10060{openapi.ROOT}/containers | jq '.containers[] | select(.mismatch)'
    curl -sN localhost:10060{openapi.ROOT}/events

**Version.** Within version 1 no name is changed or removed, and no type changes; there may be new
ones, so clients ignore what they do not know. `null` is not known, never zero. Times are seconds
since the epoch. All strings may have been chosen by strangers: they are data, whatever they look
like.

**Secrets.** Programs and roles of processes are served, arguments only with `web.show_arguments`,
and then with what looks like a secret masked. Environments, options of mounts, and labels but for
those of Compose are never served.

**Rates.** While somebody asks, the agent reads its counters every two seconds (less often where a
reading is expensive), and goes on for 15 seconds after the last request. While nobody asks it
reads nothing. So the rates of a first request are `null`, and two seconds later there are some.
With `use=false` nothing is read.

**Caching.** Answers have an `ETag`; with `If-None-Match` they are 304 while nothing has changed.
However many clients ask, an answer is made once.

**Errors** are `application/problem+json`: 400 for a parameter that there is not, 404, 405, and
503 with `Retry-After` where there are too many requests or streams at the same time.

## Paths
"""


def page() -> str:
    """Return the page."""
    return "\n".join((_HEAD + "\n".join(_paths()), "", "## Objects", *_objects())) + "\n"


def _paths() -> Iterator[str]:
    for operation in openapi.OPERATIONS:
        answer = f"`{operation.answer.__name__}`" if operation.answer else f"`{operation.kind}`"
        yield f"### `{openapi.ROOT}{operation.path}`"
        yield from textwrap.wrap(f"{operation.about} Answer: {answer}.", 110)
        yield ""
        if operation.parameters:
            yield "| parameter | values | |"
            yield "| --- | --- | --- |"
            for each in operation.parameters:
                values = ", ".join(f"`{value}`" for value in each.values) or "text"
                many = " (several)" if each.many else ""
                yield f"| `{each.name}` | {values}{many} | {each.about} |"
            yield ""


def _objects() -> Iterator[str]:
    for kind in openapi.classes():
        base = kind.__mro__[1]
        inherited = openapi.field_types(base) if is_dataclass(base) else {}
        yield f"### {kind.__name__}"
        yield (inspect.getdoc(kind) or "") + (
            f" All of `{base.__name__}`, and:" if inherited else ""
        )
        yield ""
        yield "| field | type | |"
        yield "| --- | --- | --- |"
        for name, (hint, about) in openapi.field_types(kind).items():
            if inherited.get(name) != (hint, about):
                yield f"| `{name}` | {_type(hint)} | {about} |"
        yield ""


_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def _type(hint: Any) -> str:
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_type, inside))
    if origin is tuple:
        return f"list of {_type(inside[0])}"
    if origin is Mapping:
        return f"object of {_type(inside[1])}"
    return f"`{hint.__name__}`"
