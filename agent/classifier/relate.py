"""Which programs are parts of one application: told by the roles that they play for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.known import Part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.classifier.scene import Program

_STORES_OF_ONE = 2
"""A database and a cache, say: stores that one application may keep for itself."""


def applications(programs: Iterable[Program]) -> tuple[tuple[Program, ...], ...]:
    """Group programs into unrelated applications.

    What runs somebody's code (php-fpm, gunicorn, a binary that nobody knows) makes one
    application of itself, of the web servers before it and of up to two stores behind it. Without
    it a web server and a database have nothing to do with each other. Exporters and log shippers
    serve the others and are nobody's application while there is another.
    """
    by_part: dict[Part, list[Program]] = {part: [] for part in Part}
    for program in sorted(programs, key=lambda p: p.family):
        by_part[program.part].append(program)
    stores = by_part[Part.STORE]
    groups: list[list[Program]] = []
    if by_part[Part.RUNTIME]:
        one, stores = stores[:_STORES_OF_ONE], stores[_STORES_OF_ONE:]
        groups.append([*by_part[Part.RUNTIME], *by_part[Part.FRONT], *one])
    elif by_part[Part.FRONT]:
        groups.append(by_part[Part.FRONT])
    groups.extend([store] for store in stores)
    groups.extend([whole] for whole in by_part[Part.WHOLE])
    if by_part[Part.AUXILIARY]:
        if groups:
            groups[0].extend(by_part[Part.AUXILIARY])
        else:
            groups.append(by_part[Part.AUXILIARY])
    return tuple(tuple(group) for group in groups)
