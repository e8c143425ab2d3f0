"""The ``tallyman`` command: runs one command of the command line and returns its exit code."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from agent import __version__, logs
from agent.cli.flags import DONE, FAILED, NO, WRONG, overrides, parse
from agent.cli.terminal import Screen
from agent.config import Config, ConfigError, load
from agent.sanitize import printable
from collectors.hostfs import HostFS, HostReadError

if TYPE_CHECKING:
    from argparse import Namespace

    from agent.model import Snapshot
    from agent.selection import Selection

log = logging.getLogger(__name__)

_BROKEN_PIPE = 141  # 128 + SIGPIPE, as the shell reports other programs
_INTERRUPTED = 130
_COMPLETION_SECONDS = 10.0


class CommandError(Exception):
    """The command failed; the message says why and what to do, in one line."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A character that the terminal cannot show becomes an escape, never an exception.
            stream.reconfigure(errors="backslashreplace")
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(parsed)
    except ConfigError as error:
        for problem in error.problems:
            _complain(problem)
        return WRONG
    except HostReadError as error:
        _complain(f"{error}; set --path.procfs to the host's /proc")
        return FAILED
    except CommandError as error:
        _complain(str(error))
        return FAILED
    except BrokenPipeError:
        return _BROKEN_PIPE  # the reader, such as head, has closed its end
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
            _check_config(parsed)
        case "completion":
            from agent.cli.completion import script  # noqa: PLC0415

            _write([script(parsed.shell)])
        case "names":
            return _names(parsed)
        case "version":
            _write([f"tallyman {__version__}"])
    return DONE


def _check_config(parsed: Namespace) -> None:
    config = load(parsed.what)
    warnings = [*config.warnings]
    if config.web.config_file:
        from agent.web.guard import check  # noqa: PLC0415 - brings OpenSSL

        warnings += check(config)
    for warning in warnings:
        _complain(f"warning: {warning}")
    _write([f"{config.file}: ok" if config.file else "no file: the defaults apply"])


def _config(parsed: Namespace, **defaults: object) -> Config:
    """Read the configuration and set up logging; flags win over ``defaults``."""
    config = load(parsed.config_file, defaults | overrides(parsed))
    logs.configure(config.log.level, config.log.format)
    return config


def _quiet_config(parsed: Namespace) -> Config:
    # One-shot commands report themselves what the user must know.
    return _config(parsed, **{"log.level": "error"})


def _serve(config: Config) -> int:
    # Imported here: only serve needs the web server. The process that keeps the privileges does not
    # need it either, so it is forked before the web server is imported.
    from agent.serve.launcher import split  # noqa: PLC0415

    for warning in config.warnings:
        log.warning("%s", warning)
    _host(config)
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
        sort=parsed.sort or "",
    )
    screen = Screen.of(sys.stdout)
    if parsed.wide:
        screen = replace(screen, width=None)
    if parsed.watch:
        if parsed.json:
            raise ConfigError(["--watch is not for --json; the agent's /api/v1/events is"])
        return _watch(parsed, selection, screen)
    snapshot = _scan(_quiet_config(parsed), parsed.timeout)
    if parsed.json:
        _write_json(json_output.listed(snapshot, selection))
    else:
        _write(listing.as_table(snapshot, selection, screen))
        if sys.stdout.isatty():
            _write(["", listing.summary(snapshot, selection)])
    _report_gaps(snapshot)
    has_findings = parsed.findings is not None and selection.containers(snapshot)
    return NO if has_findings else DONE


def _watch(parsed: Namespace, selection: Selection, screen: Screen) -> int:
    from agent.cli.watch import watch  # noqa: PLC0415
    from agent.serve.supervisor import NoScoutError  # noqa: PLC0415

    config = _quiet_config(parsed)
    _host(config)
    try:
        watch(config, selection, screen, _write)
    except NoScoutError as error:
        raise CommandError(f"this host could not be scanned: {error}") from error
    return DONE


def _names(parsed: Namespace) -> int:
    from agent.cli.completion import names  # noqa: PLC0415

    _write(names(_scan(_quiet_config(parsed), _COMPLETION_SECONDS)))
    return DONE


def _explain(parsed: Namespace) -> int:
    from agent.cli import explain, json_output  # noqa: PLC0415

    snapshot = _scan(_quiet_config(parsed), parsed.timeout)
    containers = explain.find(snapshot, parsed.what)
    screen = Screen.of(sys.stdout)
    if not containers:
        others = explain.find_look_alikes(snapshot, parsed.what)
        for other in others:
            _write(explain.look_alike_text(other, screen))
        if not others:
            close = explain.suggestion(snapshot, parsed.what)
            hint = f"did you mean {close}?" if close else "tallyman ls lists all containers"
            _complain(f"no such container: {printable(parsed.what)}; {hint}")
        _report_gaps(snapshot)
        return NO
    if len(containers) > 1:
        _complain(f"{printable(parsed.what)} is ambiguous; give the id of one of these:")
        for container in containers:
            engine, name = printable(container.engine), printable(container.name)
            _complain(f"  {printable(container.id)}  ({engine}, {name})")
        return NO
    if parsed.json:
        _write_json(json_output.explained(containers[0], snapshot))
    else:
        _write(explain.as_text(containers[0], snapshot, screen))
    return DONE


def _check(parsed: Namespace) -> int:
    from agent.cli import check  # noqa: PLC0415

    config = _quiet_config(parsed)
    host, snapshot, problem = _host(config), None, ""
    try:
        snapshot = _take_once(config, parsed.timeout)
    except CommandError as error:
        problem = str(error)
    checks = check.run(host, snapshot, problem)
    if parsed.json:
        _write_json([one.as_object() for one in checks])
    else:
        _write(check.as_text(checks, Screen.of(sys.stdout)))
    return DONE if not any(one.failed for one in checks) else NO


def _scan(config: Config, timeout: float) -> Snapshot:
    _host(config)
    snapshot = _take_once(config, timeout)
    if snapshot is None or not snapshot.complete:
        raise CommandError(
            f"this host could not be scanned within {timeout:g} s; allow more time with "
            "--timeout=2m, or see tallyman check"
        )
    return snapshot


def _host(config: Config) -> HostFS:
    """Open the host's filesystems in this process as well, to report a wrong path plainly."""
    host = HostFS(config.path.procfs, config.path.sysfs, config.path.rootfs)
    if not any(name.isdigit() for name in host.proc.listdir(".", 1 << 16)):
        raise CommandError(
            f"{config.path.procfs} shows no processes, so no proc filesystem is mounted there; "
            "set --path.procfs to the host's /proc"
        )
    return host


def _take_once(config: Config, timeout: float) -> Snapshot | None:
    # Starts processes.
    from agent.serve.supervisor import NoScoutError, take_once  # noqa: PLC0415

    try:
        return take_once(config, deadline=timeout)
    except NoScoutError as error:
        raise CommandError(f"this host could not be scanned: {error}") from error


def _report_gaps(snapshot: Snapshot) -> None:
    for health in snapshot.collectors:
        if not health.success:
            _complain(
                f"collector {printable(health.name)} failed ({printable(health.error)}): "
                "tallyman check says what is missing"
            )
    denied = sum(health.denied for health in snapshot.collectors)
    if denied and os.geteuid() != 0:
        _complain(f"{denied} reads were denied; root sees more (see tallyman check)")
    if snapshot.dropped:
        _complain(f"{snapshot.dropped} more containers exceed the limit containers.max")


def _write(lines: Iterable[str], stream: TextIO | None = None) -> None:
    out = sys.stdout if stream is None else stream
    try:
        for text in lines:
            out.write(text + "\n")
        out.flush()
    except OSError as error:
        # Discard what is still buffered: otherwise Python reports it again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise CommandError(f"cannot write: {error.strerror}") from error


def _write_json(value: object) -> None:
    import json  # noqa: PLC0415

    # Escaped to ASCII, so that no name can send control characters to a terminal.
    _write([json.dumps(value, indent=2)])


def _complain(message: str) -> None:
    _write([f"tallyman: {message}"], sys.stderr)
