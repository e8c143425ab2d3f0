"""Which programs are parts of one application: by the roles that they play for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.identity import product_directory
from agent.classifier.programs import Part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.classifier.scene import Program

_STORES_OF_ONE = 2
"""A database and a cache, say: stores that one application may keep for itself."""
_KEEPING = frozenset({"mail", "git server", "monitoring", "chat", "radius", "telephony"})
"""Families of whole applications that are often set up with a database or a cache."""


def applications(programs: Iterable[Program]) -> tuple[tuple[Program, ...], ...]:
    """Group programs into unrelated applications.

    What runs somebody's code (php-fpm, gunicorn, a binary that nobody knows) makes one
    application of itself, of the web servers before it and of up to two stores behind it. Without
    it a web server and a database have nothing to do with each other, but a mail server may keep
    its accounts in one, and a forge its users. Exporters and log shippers
    serve the others and are nobody's application while there is another. Whatever was installed
    as one product (all below /opt/forge) is one application.
    """
    by_part: dict[Part, list[Program]] = {part: [] for part in Part}
    for program in sorted(programs, key=lambda p: p.family):
        by_part[program.part].append(program)
    stores = by_part[Part.STORE]
    groups: list[list[Program]] = []
    if by_part[Part.RUNTIME]:
        own, stores = stores[:_STORES_OF_ONE], stores[_STORES_OF_ONE:]
        groups.append([*by_part[Part.RUNTIME], *by_part[Part.WEB_SERVER], *own])
    elif by_part[Part.WEB_SERVER]:
        groups.append(by_part[Part.WEB_SERVER])
    for whole in by_part[Part.STANDALONE]:
        keeps = _STORES_OF_ONE if whole.family in _KEEPING else 0
        own, stores = stores[:keeps], stores[keeps:]
        groups.append([whole, *own])
    groups.extend([store] for store in stores)
    groups = _joined_by_product(groups)
    if by_part[Part.AUXILIARY]:
        groups = groups or [[]]
        groups[0].extend(by_part[Part.AUXILIARY])
    return tuple(tuple(group) for group in groups)


def _joined_by_product(groups: list[list[Program]]) -> list[list[Program]]:
    joined: list[list[Program]] = []
    for group in groups:
        products = _products(group)
        home = next((other for other in joined if products & _products(other)), None)
        if home is None:
            joined.append(list(group))
        else:
            home.extend(group)
    return joined


def _products(group: Iterable[Program]) -> set[str]:
    return {
        directory
        for program in group
        if (directory := product_directory(program.identity.directory))
    }
