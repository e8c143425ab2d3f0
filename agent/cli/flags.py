"""The command line as argparse knows it: commands, flags with Prometheus's names, help."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from agent import __version__
from agent.config import DEFAULT_FILE, READERS, declared_keys
from agent.config.keys import BOOLEAN, Key, duration, unknown
from agent.selection import STYLES

DONE, NO, WRONG, FAILED = 0, 1, 2, 3
"""Exit codes, as EXIT_CODES tells them."""

EXIT_CODES = """\
exit codes:
  0  done
  1  the answer is no: there are findings, something cannot be read, no such container
  2  wrong usage or configuration
  3  it failed: the host cannot be looked at, the address cannot be listened on
"""

_LS_EXAMPLES = """\
examples:
  tallyman ls                              what is here, and what is it?
  tallyman ls --style=system --engine=docker
                                           who runs a server in Docker?
  tallyman ls --all                        also what looks like a container and is none, and why
  tallyman ls --findings=privileged        for use in CI: exit code 1 where there is one
  tallyman ls --json | jq '.[] | select(.mismatch) | .name'

A "!" behind the expected style marks a mismatch: the verdict is sure, and it is not what the engine
is made for. Containers that run inside others are indented under them.

"""

_CHECK_TEXT = """\
Tries what the agent wants to read on this host, and says what is lost where it cannot: privileges,
processes, cgroups, the engines' folders, and each collector. Nothing is changed.
"""

_SERVE_TEXT = """\
Runs in the foreground until SIGTERM or Ctrl-C. Answers on the address at once and says that it is
not complete until it is: /-/ready is 503 until then. Pages: / for people, /metrics for Prometheus,
/-/healthy and /-/ready for whoever watches over it.
"""

SHARED = ("path.", "log.", *(f"collector.{name}." for name in READERS))
"""Keys whose flags every command has that looks at the host; the others are for serve."""


_TIMEOUT = 60.0
"""Much more than looking takes, but people run it when the machine is in trouble."""


class Parser(argparse.ArgumentParser):
    """argparse's parser, but wrong usage is one line that says what would be right."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and leave with the code for wrong usage."""
        self.exit(WRONG, f"{self.prog}: {message}; see {self.prog} --help\n")

    def known_flags(self) -> list[str]:
        """Return the names of all flags."""
        return [flag for action in self._actions for flag in action.option_strings]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; leaves with code 2 where it is wrong."""
    parser, commands = parsers()
    if not arguments:
        parser.print_help(sys.stderr)
        parser.exit(WRONG)
    command = arguments[0]
    if not command.startswith("-") and command not in commands:
        parser.error(f"{command}: {unknown(command, commands, 'command')}")
    parsed, rest = parser.parse_known_args(arguments)
    if rest:
        own = commands[parsed.command]
        flag = rest[0].partition("=")[0]
        if flag.startswith("-"):
            near = unknown(flag, own.known_flags(), "flag").partition("; there are")[0]
            own.error(f"{flag}: {near}")
        own.error(f"{flag}: there is no place for this")
    return parsed


def overrides(parsed: argparse.Namespace) -> dict[str, object]:
    """Return what the flags say of the configuration, by dotted path."""
    return {path: value for path, value in vars(parsed).items() if "." in path}


def parsers() -> tuple[Parser, Mapping[str, Parser]]:
    """Return the parser of the command line, and those of the commands by name."""
    parser = Parser(
        prog="tallyman",
        usage="tallyman COMMAND [flags]",
        description="Finds every container on this host, whoever made it, and says what it is: "
        "app-style (one application) or system-style (a small server), and why.",
        epilog="tallyman COMMAND --help tells more of each.\n\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tallyman {__version__}")
    subparsers = parser.add_subparsers(
        prog="tallyman", dest="command", metavar="COMMAND", required=True
    )

    def command(
        name: str, summary: str, text: str = "", epilog: str = "", *, usage: str = "[flags]"
    ) -> Parser:
        added: Parser = subparsers.add_parser(
            name,
            usage=f"tallyman {name} {usage}".rstrip(),
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.\n\n{text}",
            epilog=epilog + EXIT_CODES,
            formatter_class=_wide,
            allow_abbrev=False,
        )
        return added

    serve = command("serve", "run the agent: answer Prometheus and people", _SERVE_TEXT)
    listing = command("ls", "list the containers with their verdicts", epilog=_LS_EXAMPLES)
    explain = command(
        "explain", "say why a container is what it is said to be", usage="WHAT [flags]"
    )
    check = command("check", "say what can be read on this host, and what not", _CHECK_TEXT)
    check_config = command("check-config", "say what is wrong with a configuration", usage="[FILE]")
    command("version", "print the version", usage="")

    _ls_flags(listing)
    explain.add_argument(
        "what",
        metavar="WHAT",
        help="name, id, the first characters of the engine's id, or pid of the first process",
    )
    check_config.add_argument("what", metavar="FILE", nargs="?", help=f"default: {DEFAULT_FILE}")
    for one in (listing, explain, check):
        one.add_argument("--json", action="store_true", help="for programs")
        one.add_argument(
            "--timeout",
            type=_timeout,
            default=_TIMEOUT,
            metavar="TIME",
            help=f"longest time that looking may take (default: {_TIMEOUT:g}s)",
        )
        _config_flags(one, lambda path: path.startswith(SHARED))
    _config_flags(serve, lambda _: True)
    for one in (serve, listing, explain, check):
        one.add_argument(
            "--config.file",
            dest="config_file",
            metavar="FILE",
            help=f"TOML; empty for none (default: {DEFAULT_FILE}, if it exists)",
        )
    return parser, subparsers.choices


def _wide(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=34)


def _ls_flags(parser: Parser) -> None:
    parser.add_argument(
        "--all", action="store_true", help="also what is not a container, with the reason"
    )
    parser.add_argument(
        "--findings",
        nargs="?",
        const=frozenset(),
        type=_words,
        metavar="NAME,…",
        help="only containers with findings (of these names), and what was found; "
        "exit code 1 if there are any",
    )
    parser.add_argument(
        "--engine",
        action="extend",
        default=[],
        type=_words,
        metavar="NAME,…",
        help="only of these engines",
    )
    parser.add_argument(
        "--style",
        action="extend",
        default=[],
        type=_styles,
        metavar="STYLE,…",
        help=f"only of these styles: {', '.join(STYLES)}",
    )


def _config_flags(parser: Parser, wanted: Callable[[str], bool]) -> None:
    group = parser.add_argument_group("configuration (flags win over the file)")
    for path, declared in declared_keys():
        if declared.flag and wanted(path):
            _config_flag(group, path, declared)


def _config_flag(group: Any, path: str, declared: Key) -> None:
    default = f" (default: {declared.shown})" if declared.shown else ""
    arguments: dict[str, Any] = {
        "dest": path,
        # Only what is given ends up in the namespace: the rest is for the file to say.
        "default": argparse.SUPPRESS,
        "help": declared.help.replace("%", "%%") + default,
    }
    if declared.kind is BOOLEAN:
        group.add_argument(declared.flag, action=argparse.BooleanOptionalAction, **arguments)
        return
    if declared.kind.repeated:
        arguments |= {"action": "append"}
        arguments["help"] += "; may be given several times"
    group.add_argument(
        declared.flag, metavar=declared.kind.metavar, type=declared.kind.from_flag, **arguments
    )


def _timeout(text: str) -> float:
    try:
        return float(duration(0.1).check(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, not {shlex.quote(text)}") from error


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in text.split(",") if word)


def _styles(text: str) -> frozenset[str]:
    words = _words(text)
    _all_known(words, STYLES)
    return words


def _all_known(words: Iterable[str], known: tuple[str, ...]) -> None:
    for word in words:
        if word not in known:
            raise argparse.ArgumentTypeError(f"{word}: {unknown(word, known, 'style')}")
