"""``tallyman``: what people type."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from agent import __version__, logs
from agent.cli.flags import DONE, FAILED, NO, WRONG, overrides, parse
from agent.cli.terminal import Screen
from agent.config import Config, ConfigError, load
from agent.sanitize import line
from collectors.hostfs import HostFS, HostReadError

if TYPE_CHECKING:
    from argparse import Namespace

    from agent.model import Snapshot

_BROKEN_PIPE = 141  # 128 + SIGPIPE, as the shell sees other programs end
_INTERRUPTED = 130


class CommandError(Exception):
    """The command could not do its work; the message says why and what to do, in one line."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that cannot show a character gets an escape for it, never an exception.
            stream.reconfigure(errors="backslashreplace")
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(parsed)
    except ConfigError as error:
        for problem in error.problems:
            _complain(problem)
        return WRONG
    except HostReadError as error:
        _complain(f"{error}; say with --path.procfs where the host's /proc is")
        return FAILED
    except CommandError as error:
        _complain(str(error))
        return FAILED
    except BrokenPipeError:
        return _BROKEN_PIPE  # whoever read has seen enough
    except KeyboardInterrupt:
        return _INTERRUPTED


def _run(parsed: Namespace) -> int:
    match parsed.command:
        case "serve":
            return _serve(_config(parsed))
        case "ls":
            return _ls(parsed)
        case "explain":
            return _explain(parsed)
        case "check":
            return _check(parsed)
        case "check-config":
            config = load(parsed.what)
            if config.web.config_file:
                from agent.web.guard import check  # noqa: PLC0415 - brings OpenSSL

                check(config)
            _write([f"{config.file}: ok" if config.file else "no file: the defaults hold"])
        case "version":
            _write([f"tallyman {__version__}"])
    return DONE


def _config(parsed: Namespace, **defaults: object) -> Config:
    """Read the configuration and set up logging; ``defaults`` are weaker than any flag."""
    config = load(parsed.config_file, defaults | overrides(parsed))
    logs.configure(config.log.level, config.log.format)
    return config


def _quiet_config(parsed: Namespace) -> Config:
    # What a person must know of a single look is said by the command itself.
    return _config(parsed, **{"log.level": "error"})


def _serve(config: Config) -> int:
    # Here and not above: serve brings the web server along, which ls does without, and so does the
    # process that keeps the privileges, which is why that is made first.
    from agent.serve.launcher import split  # noqa: PLC0415

    starter, files = split(config)
    from agent.serve.daemon import run  # noqa: PLC0415
    from agent.web.server import CannotListenError  # noqa: PLC0415

    try:
        return run(config, starter, files)
    except CannotListenError as error:
        _complain(str(error))
        return FAILED
    finally:
        starter.close()


def _ls(parsed: Namespace) -> int:
    from agent.cli import json_output, listing  # noqa: PLC0415
    from agent.selection import Selection  # noqa: PLC0415

    selection = Selection(
        everything=parsed.all,
        engines=frozenset(parsed.engine),
        styles=frozenset(parsed.style),
        findings=parsed.findings,
    )
    snapshot = _look(_quiet_config(parsed), parsed.timeout)
    if parsed.json:
        _write_json(json_output.listed(snapshot, selection))
    else:
        screen = Screen.of(sys.stdout)
        _write(listing.as_table(snapshot, selection, screen))
        if screen.width is not None:
            _write(["", listing.summary(snapshot, selection)])
    _tell_what_is_missing(snapshot)
    found = parsed.findings is not None and selection.containers(snapshot)
    return NO if found else DONE


def _explain(parsed: Namespace) -> int:
    from agent.cli import explain, json_output  # noqa: PLC0415

    snapshot = _look(_quiet_config(parsed), parsed.timeout)
    found = explain.find(snapshot, parsed.what)
    screen = Screen.of(sys.stdout)
    if not found:
        others = explain.find_look_alikes(snapshot, parsed.what)
        for other in others:
            _write(explain.look_alike_text(other, screen))
        if not others:
            near = explain.suggestion(snapshot, parsed.what)
            hint = f"did you mean {near}?" if near else "tallyman ls shows all"
            _complain(f"no container is called {line(parsed.what)}; {hint}")
        _tell_what_is_missing(snapshot)
        return NO
    if len(found) > 1:
        _complain(f"{line(parsed.what)} may be each of these; say which by its id:")
        for container in found:
            _complain(f"  {line(container.id)}  ({line(container.engine)}, {line(container.name)})")
        return NO
    if parsed.json:
        _write_json(json_output.explained(found[0]))
    else:
        _write(explain.as_text(found[0], snapshot, screen))
    return DONE


def _check(parsed: Namespace) -> int:
    from agent.cli import check  # noqa: PLC0415

    config = _quiet_config(parsed)
    checks = check.run(_host(config), _take_once(config, parsed.timeout))
    if parsed.json:
        _write_json([one.as_object() for one in checks])
    else:
        _write(check.as_text(checks, Screen.of(sys.stdout)))
    return DONE if not any(one.failed for one in checks) else NO


def _look(config: Config, timeout: float) -> Snapshot:
    _host(config)
    snapshot = _take_once(config, timeout)
    if snapshot is None or not snapshot.complete:
        raise CommandError(
            f"this host could not be looked at within {timeout:g} s; give it more with "
            "--timeout=2m, and see tallyman check"
        )
    return snapshot


def _host(config: Config) -> HostFS:
    """Open the door to the host here as well, so that a wrong path is told in plain words."""
    return HostFS(config.path.procfs, config.path.sysfs, config.path.rootfs)


def _take_once(config: Config, timeout: float) -> Snapshot | None:
    from agent.serve.supervisor import take_once  # noqa: PLC0415 - starts processes

    return take_once(config, deadline=timeout)


def _tell_what_is_missing(snapshot: Snapshot) -> None:
    for health in snapshot.collectors:
        if not health.success:
            _complain(
                f"{line(health.name)} could not be read ({line(health.error)}): "
                "see tallyman check for what is lost"
            )
    denied = sum(health.denied for health in snapshot.collectors)
    if denied and os.geteuid() != 0:
        _complain(f"{denied} reads were denied; as root there is more to see (tallyman check)")
    if snapshot.dropped:
        _complain(f"{snapshot.dropped} more containers are above the limit containers.max")


def _write(lines: Iterable[str], stream: TextIO | None = None) -> None:
    out = sys.stdout if stream is None else stream
    try:
        for text in lines:
            out.write(text + "\n")
        out.flush()
    except OSError as error:
        # What is left in the buffer goes nowhere: Python would complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise CommandError(f"cannot write: {error.strerror}") from error


def _write_json(value: object) -> None:
    import json  # noqa: PLC0415

    # Escaped to ASCII, so that no name reaches a terminal through it.
    _write([json.dumps(value, indent=2)])


def _complain(message: str) -> None:
    _write([f"tallyman: {message}"], sys.stderr)
