"""The command line: commands, flags named as Prometheus names its own, and their help."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from agent import __version__
from agent.config import DEFAULT_FILE, READERS, declared_keys
from agent.config.keys import BOOLEAN, Key, duration, unknown
from agent.selection import SORTS, STYLES

DONE, NO, WRONG, FAILED = 0, 1, 2, 3
"""Exit codes, explained in EXIT_CODES."""

EXIT_CODES = """\
exit codes:
  0  done
  1  the answer is no: there are findings, something cannot be read, no such container
  2  wrong usage or configuration, or a Python older than 3.11: to start it again does not help
  3  failure: the host cannot be read, the address cannot be bound, no scout can be started
"""

_LS_EXAMPLES = """\
examples:
  tallyman ls                              all containers with their verdicts
  tallyman ls --style=system --engine=docker
                                           Docker containers used like small servers
  tallyman ls --all                        also what only looks like a container, and why
  tallyman ls --findings=privileged        for CI: exit code 1 if there is a privileged container
  tallyman ls --json | jq '.[] | select(.mismatch) | .name'

A "!" after the expected style marks a mismatch: the verdict is certain, and differs from what the
engine is made for. Containers inside other containers are indented below them.

"""

_CHECK_TEXT = """\
Tries everything that the agent reads on this host (privileges, processes, cgroups, the engines'
directories, each collector) and says what is missing where it fails. It changes nothing.
"""

_SERVE_TEXT = """\
Runs in the foreground until SIGTERM or Ctrl-C. It answers at once; /-/ready is 503 until the first
scan of the host is complete. Pages: / (HTML), /metrics (Prometheus), /-/healthy and /-/ready (for
health checks).
"""

SHELLS = ("bash", "zsh", "fish")

_COMPLETION_TEXT = """\
It completes commands, flags, and the names of containers after `explain`. To have it in new shells:

  tallyman completion bash > /etc/bash_completion.d/tallyman
  tallyman completion zsh > /usr/share/zsh/site-functions/_tallyman
  tallyman completion fish > /etc/fish/completions/tallyman.fish
"""

SHARED = ("path.", "log.", *(f"collector.{name}." for name in READERS))
"""Keys whose flags all commands that read the host have; the others are for serve."""


_TIMEOUT = 60.0
"""Much more than a scan takes, but it is run when the machine is in trouble."""


class Parser(argparse.ArgumentParser):
    """argparse's parser, but wrong usage is reported in one line that says what is right."""

    def error(self, message: str) -> NoReturn:
        """Report wrong usage and exit with its code."""
        self.exit(WRONG, f"{self.prog}: {message}; see {self.prog} --help\n")

    def known_flags(self) -> list[str]:
        """Return the names of all flags."""
        return [flag for action in self._actions for flag in action.option_strings]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; exit with code 2 if it is wrong."""
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
            hint = unknown(flag, own.known_flags(), "flag").partition("; there are")[0]
            own.error(f"{flag}: {hint}")
        own.error(f"{flag}: unexpected argument")
    return parsed


def overrides(parsed: argparse.Namespace) -> dict[str, object]:
    """Return the configuration that the flags set, by dotted path."""
    return {path: value for path, value in vars(parsed).items() if "." in path}


def parsers() -> tuple[Parser, Mapping[str, Parser]]:
    """Return the parser of the command line, and those of its commands by name."""
    parser = Parser(
        prog="tallyman",
        usage="tallyman COMMAND [flags]",
        description="Finds every container on this host, whatever engine made it, and says whether "
        "it is\napp-style (one application) or system-style (a small server), and why.",
        epilog="For the flags of a command: tallyman COMMAND --help\n\n" + EXIT_CODES,
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

    serve = command(
        "serve", "run the agent, with metrics for Prometheus and HTML pages", _SERVE_TEXT
    )
    listing = command("ls", "list the containers with their verdicts", epilog=_LS_EXAMPLES)
    explain = command("explain", "explain the verdict on a container", usage="WHAT [flags]")
    check = command("check", "check what can be read on this host", _CHECK_TEXT)
    check_config = command("check-config", "check a configuration file", usage="[FILE]")
    completion = command(
        "completion", "print the completion for a shell", _COMPLETION_TEXT, usage="SHELL"
    )
    completion.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    names = command("names", "print the names of the containers, for completion", usage="[flags]")
    command("version", "print the version", usage="")

    _ls_flags(listing)
    explain.add_argument(
        "what",
        metavar="WHAT",
        help="name, id, the first characters of the engine's id, or pid of the first process",
    )
    check_config.add_argument("what", metavar="FILE", nargs="?", help=f"default: {DEFAULT_FILE}")
    for one in (listing, explain, check):
        one.add_argument("--json", action="store_true", help="print JSON")
        one.add_argument(
            "--timeout",
            type=_timeout,
            default=_TIMEOUT,
            metavar="TIME",
            help=f"longest time that the scan may take (default: {_TIMEOUT:g}s)",
        )
        _config_flags(one, lambda path: path.startswith(SHARED))
    _config_flags(serve, lambda _: True)
    _config_flags(names, lambda path: path.startswith(SHARED))
    for one in (serve, listing, explain, check, names):
        one.add_argument(
            "--config.file",
            dest="config_file",
            metavar="FILE",
            help=f"TOML file; empty for none (default: {DEFAULT_FILE}, if it exists)",
        )
    return parser, subparsers.choices


def _wide(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=34)


def _ls_flags(parser: Parser) -> None:
    parser.add_argument(
        "--all", action="store_true", help="also show what only looks like a container, and why"
    )
    parser.add_argument(
        "--findings",
        nargs="?",
        const=frozenset(),
        type=_words,
        metavar="NAME,…",
        help="only containers with warnings (with findings of these names or severities), and list "
        "them; exit code 1 if there are any",
    )
    parser.add_argument(
        "--engine",
        action="extend",
        default=[],
        type=_words,
        metavar="NAME,…",
        help="only containers of these engines",
    )
    parser.add_argument(
        "--style",
        action="extend",
        default=[],
        type=_styles,
        metavar="STYLE,…",
        help=f"only containers of these styles: {', '.join(STYLES)}",
    )

    parser.add_argument(
        "--sort",
        type=_sort,
        metavar="COLUMN",
        help=f"sort by {', '.join(SORTS)}; in reverse with a dash: --sort=-age",
    )
    parser.add_argument(
        "--wide", action="store_true", help="show all columns whole, however wide the terminal is"
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="show the list again whenever something changes, until Ctrl-C",
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
        # Only flags that are given end up in the namespace; the others must not override the file.
        "default": argparse.SUPPRESS,
        "help": declared.help.replace("%", "%%") + default,
    }
    if declared.kind is BOOLEAN:
        group.add_argument(declared.flag, action=argparse.BooleanOptionalAction, **arguments)
        return
    if declared.kind.repeated:
        arguments |= {"action": "append"}
        arguments["help"] += "; can be repeated"
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


def _sort(text: str) -> str:
    name = text.removeprefix("-")
    if name not in SORTS:
        raise argparse.ArgumentTypeError(f"{name}: {unknown(name, SORTS, 'column')}")
    return text


def _all_known(words: Iterable[str], known: tuple[str, ...]) -> None:
    for word in words:
        if word not in known:
            raise argparse.ArgumentTypeError(f"{word}: {unknown(word, known, 'style')}")
