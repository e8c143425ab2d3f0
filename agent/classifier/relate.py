"""Which programs are parts of one application, by what they usually do for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.identity import product_directory
from agent.classifier.programs import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.classifier.scene import Program

_STORES = 2
"""How many stores one application may have: a database and a cache, say. And a queue."""
_QUEUES = frozenset({"rabbitmq", "nats", "beanstalkd", "mosquitto"})
_WITH_STORES = frozenset({"mail", "git server", "monitoring", "chat", "radius", "telephony"})
"""Families of standalone applications that often have a database or a cache."""
_WITH_PAGES = (
    *("git server", "mail", "telephony", "monitoring", "chat", "name server", "dhcp", "radius"),
    *("torrent", "print", "video"),
)
"""Families of standalone applications that often have pages: to read them, to configure them."""
_RUN_CODE = frozenset({"apache", "litespeed", "lighttpd"})
"""Web servers that run an application's code themselves, as a module or a child."""
_DATABASES = frozenset({"mysql", "postgres"})
"""What such code keeps its data in, whoever else can reach it."""
_SENDING = frozenset(
    {
        *("postfix", "postfix/master", "master", "exim", "exim4", "sendmail", "sendmail-mta"),
        *("smtpd", "opensmtpd", "opendkim", "opendmarc", "postsrsd", "policyd-spf", "saslauthd"),
    }
)
"""Mail programs that only send and take mail: nobody reads it there."""
_ENGINE = "container engine"
_DIRECTORY = "samba"
"""Samba's domain controller, which has the name server of its domain; smbd alone is not it."""


def applications(
    programs: Iterable[Program], is_private: Callable[[Program], bool] = lambda _: False
) -> tuple[tuple[Program, ...], ...]:
    """Group programs into unrelated applications.

    Programs that run the application's code (php-fpm, gunicorn, an unknown binary) are one
    application together with the web servers before them, up to two stores and a queue behind them.
    Without them a web server and a database are unrelated, unless the web server can run code
    itself and nobody outside can reach the database; a mail server or a git server may keep its
    data in one. One standalone application of a kind that often has pages (mail, a name server,
    monitoring) is one with the web application beside it, and one that nobody outside can reach the
    databases of, with those. Exporters, log shippers, resolvers, tunnels, container engines, a mail
    server that nobody outside can reach, and one that only sends beside more than a web server,
    serve the others: they are an application only where there is no other. Whatever was installed
    as one product (all of it below /opt/forge) is one application.
    """
    by_part: dict[Part, list[Program]] = {part: [] for part in Part}
    for program in sorted(programs, key=lambda p: p.family):
        by_part[_part(program, is_private)].append(program)
    _set_senders_aside(by_part)
    stores = by_part[Part.STORE]
    groups: list[list[Program]] = []
    web = by_part[Part.WEB_SERVER]
    runs_code = by_part[Part.RUNTIME] or any(program.family in _RUN_CODE for program in web)
    if by_part[Part.RUNTIME]:
        queues = [store for store in stores if store.family in _QUEUES][:1]
        others = [store for store in stores if store not in queues]
        own, stores = [*queues, *others[:_STORES]], others[_STORES:]
        groups.append([*by_part[Part.RUNTIME], *web, *own])
    elif runs_code:
        own = [s for s in stores if is_private(s) or s.family in _DATABASES][:_STORES]
        stores = [store for store in stores if store not in own]
        groups.append([*web, *own])
    elif web:
        groups.append(web)
    with_pages = _with_pages(by_part[Part.STANDALONE]) if runs_code else None
    for standalone in by_part[Part.STANDALONE]:
        with_stores = standalone.family in _WITH_STORES
        own = [store for store in stores if with_stores or is_private(store)][:_STORES]
        stores = [store for store in stores if store not in own]
        if standalone is with_pages:
            groups[0] += [standalone, *own]
        else:
            groups.append([standalone, *own])
    groups.extend([store] for store in stores)
    groups = _with_its_names(_joined_by_product(groups))
    if by_part[Part.AUXILIARY]:
        groups = groups or [[]]
        groups[0].extend(by_part[Part.AUXILIARY])
    return tuple(tuple(group) for group in groups)


def with_its_services(
    groups: Sequence[tuple[Program, ...]], system: Iterable[Program]
) -> tuple[tuple[Program, ...], ...]:
    """Add to each application the operating system services that were installed with its product.

    A forge that has its own sshd and cron below /opt/forge is one application.
    """
    whole = [list(group) for group in groups]
    for service in system:
        home = next((group for group in whole if _products(group) & _products([service])), None)
        if home is not None:
            home.append(service)
    return tuple(tuple(group) for group in whole)


def _part(program: Program, is_private: Callable[[Program], bool]) -> Part:
    """Return the part of an application that a program is here."""
    if program.family == "mail" and program.part is Part.STANDALONE and is_private(program):
        return Part.AUXILIARY
    return Part.AUXILIARY if program.family == _ENGINE else program.part


def _set_senders_aside(by_part: dict[Part, list[Program]]) -> None:
    """Take a mail server that only sends for a helper, unless just a web server runs beside it."""
    standalone = by_part[Part.STANDALONE]
    sending = [p for p in standalone if p.family == "mail" and _SENDING.issuperset(p.names)]
    runs_code = any(program.family in _RUN_CODE for program in by_part[Part.WEB_SERVER])
    if runs_code or by_part[Part.RUNTIME] or len(standalone) > len(sending):
        by_part[Part.STANDALONE] = [program for program in standalone if program not in sending]
        by_part[Part.AUXILIARY] += sending


def _with_its_names(groups: list[list[Program]]) -> list[list[Program]]:
    """Join a domain controller and the name server of its domain."""
    domain = next((g for g in groups if any(_DIRECTORY in p.names for p in g)), None)
    names = next((g for g in groups if [p.family for p in g] == ["name server"]), None)
    if domain is None or names is None:
        return groups
    return [
        [*group, *names] if group is domain else group for group in groups if group is not names
    ]


def _with_pages(standalone: Iterable[Program]) -> Program | None:
    """Return the application that the pages of a web application beside it are most likely of."""
    kinds = [program for program in standalone if program.family in _WITH_PAGES]
    return min(kinds, key=lambda program: _WITH_PAGES.index(program.family), default=None)


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
