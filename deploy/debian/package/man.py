"""Writes the manual page from the command line's own help, so that it is always up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from agent import __version__
from agent.cli.flags import EXIT_CODES, parsers

_FILES = (
    ("/etc/tallyman/tallyman.toml", "The configuration. Lists every key with its default."),
    ("/etc/default/tallyman", "Flags for the service."),
)


def page() -> Iterator[str]:
    """Return the lines of the page, man(7)."""
    parser, commands = parsers()
    yield f'.TH TALLYMAN 1 "" "tallyman {__version__}" "User Commands"'
    yield from (".SH NAME", r"tallyman \- finds every container on a host and says what it is")
    yield from (".SH SYNOPSIS", r".B tallyman", r"\fICOMMAND\fR [\fIflags\fR]")
    yield from (".SH DESCRIPTION", _text(parser.description or ""))
    yield ".SH COMMANDS"
    for name, command in commands.items():
        yield f".SS {_text((command.usage or name).removeprefix('tallyman '))}"
        yield from _paragraphs(command.description or "")
        for action in command._actions:  # noqa: SLF001 - argparse has no other list of them
            yield from _flag(action)
    yield ".SH EXIT STATUS"
    for line in EXIT_CODES.strip().splitlines()[1:]:
        code, _, meaning = line.strip().partition("  ")
        yield from (".TP", code, _text(meaning))
    yield ".SH FILES"
    for path, meaning in _FILES:
        yield from (".TP", f".I {_text(path)}", _text(meaning))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        yield from (_text(" ".join(paragraph.split())), ".PP")


def _flag(action: argparse.Action) -> Iterator[str]:
    if isinstance(action, argparse._HelpAction):  # noqa: SLF001 - each command has one
        return
    names = action.option_strings or [str(action.metavar)]
    value = f" \\fI{_text(str(action.metavar))}\\fR" if action.option_strings else ""
    value = "" if action.nargs == 0 else value
    yield ".TP"
    yield ", ".join(rf"\fB{_text(name)}\fR" for name in names) + value
    yield _text((action.help or "").replace("%%", "%"))


def _text(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return r"\&" + text if text.startswith((".", "'")) else text


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in page())
