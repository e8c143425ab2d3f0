"""Command lines of engines and of what containers run, taken apart.

Engines follow two conventions. LXC, systemd-nspawn and libvirt use getopt_long(3), where one word
can hold several options: ``parse_command_line`` needs to know which of them take a value. Those
in Go, and conmon, name each option in a word of its own, with one dash or two: ``option_value``
needs
to know the one that it is asked for, and no other.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from collectors.formats.documents import clean_text

_INIT_PROGRAMS = frozenset(
    {"init", "systemd", "runit", "runit-init", "openrc-init", "sysvinit", "upstart"}
    | {"dinit", "finit", "s6-linux-init"}
)


def option_values(argv: Sequence[str], *names: str) -> list[str]:
    """Return all values of an option: ``-H x``, ``-H=x``, ``--host x``, ``--host=x``."""
    values = []
    for index, word in enumerate(argv[1:], 1):
        name, equals, value = word.partition("=")
        if name not in names:
            continue
        if equals:
            values.append(clean_text(value))
        elif index + 1 < len(argv):
            values.append(clean_text(argv[index + 1]))
    return values


def option_value(argv: Sequence[str], *names: str) -> str:
    """Return the first value of an option; empty where it is not given."""
    return next(iter(option_values(argv, *names)), "")


class CommandLine(NamedTuple):
    """A command line taken apart as getopt_long(3) does it."""

    options: list[tuple[str, str]]
    rest: list[str]

    def get(self, *names: str) -> str | None:
        """Return the last value of an option under any of its names; "" for one without a value."""
        return next((v for k, v in reversed(self.options) if k in names), None)

    def has(self, *names: str) -> bool:
        """Return whether an option is there under any of its names."""
        return self.get(*names) is not None


def parse_command_line(
    argv: Sequence[str], short: str, long: frozenset[str], *, stop: bool
) -> CommandLine:
    """Take an engine's command line apart.

    ``short`` is getopt's string, ``long`` the names of the long options that want a value. With
    ``stop`` the first word that is no option ends them. An unknown option takes no value: newer
    engines know more of them, and most are switches.
    """
    options: list[tuple[str, str]] = []
    rest: list[str] = []
    words = list(argv[1:])
    while words:
        word = words.pop(0)
        if word == "--":
            rest += words
            break
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            if not equals and name[2:] in long and words:
                value = words.pop(0)
            options.append((name, value))
        elif word.startswith("-") and word != "-":
            options += _short_options(word[1:], short, words)
        elif stop:
            rest += [word, *words]
            break
        else:
            rest.append(word)
    return CommandLine(options, rest)


def _short_options(letters: str, short: str, words: list[str]) -> Iterator[tuple[str, str]]:
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter + ":" not in short:
            yield f"-{letter}", ""
            continue
        yield f"-{letter}", letters or (words.pop(0) if words else "")
        return


def boots_system(command: Sequence[str]) -> bool | None:
    """Return whether a command boots a system; None for an ``/init`` that may be anything."""
    head = command[0]
    if head == "/init":
        return None
    if posixpath.basename(head) == "busybox":
        return command[1:2] in (["init"], ("init",))
    return posixpath.basename(head) in _INIT_PROGRAMS
