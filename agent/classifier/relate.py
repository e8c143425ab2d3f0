"""Which programs are parts of one application, by what they usually do for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.identity import product_directory
from agent.classifier.programs import Part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.classifier.scene import Program

_STORES = 2
"""How many stores one application may have: a database and a cache, say."""
_WITH_STORES = frozenset({"mail", "git server", "monitoring", "chat", "radius", "telephony"})
"""Families of standalone applications that often have a database or a cache."""


def applications(programs: Iterable[Program]) -> tuple[tuple[Program, ...], ...]:
    """Group programs into unrelated applications.

    Programs that run the application's code (php-fpm, gunicorn, an unknown binary) are one
    application together with the web servers before them and up to two stores behind them. Without
    them a web server and a database are unrelated, but a mail server or a git server may keep its
    data in one. Exporters and log shippers serve the others: they are an application only where
    there is no other. Whatever was installed as one product (all of it below /opt/forge) is one
    application.
    """
    by_part: dict[Part, list[Program]] = {part: [] for part in Part}
    for program in sorted(programs, key=lambda p: p.family):
        by_part[program.part].append(program)
    stores = by_part[Part.STORE]
    groups: list[list[Program]] = []
    if by_part[Part.RUNTIME]:
        own, stores = stores[:_STORES], stores[_STORES:]
        groups.append([*by_part[Part.RUNTIME], *by_part[Part.WEB_SERVER], *own])
    elif by_part[Part.WEB_SERVER]:
        groups.append(by_part[Part.WEB_SERVER])
    for standalone in by_part[Part.STANDALONE]:
        allowed = _STORES if standalone.family in _WITH_STORES else 0
        own, stores = stores[:allowed], stores[allowed:]
        groups.append([standalone, *own])
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
        related = next((other for other in joined if products & _products(other)), None)
        if related is None:
            joined.append(list(group))
        else:
            related.extend(group)
    return joined


def _products(group: Iterable[Program]) -> set[str]:
    return {
        directory
        for program in group
        if (directory := product_directory(program.identity.directory))
    }
