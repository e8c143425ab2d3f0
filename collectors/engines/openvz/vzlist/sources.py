"""Where vzlist's answer comes from: the program, or a file with its output."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Protocol

from collectors.engines.openvz.vzlist.background import Answer, Background
from collectors.engines.openvz.vzlist.errors import VzlistError
from collectors.engines.openvz.vzlist.output import parse_output
from collectors.engines.openvz.vzlist.program import OUTPUT_LIMIT, Program
from collectors.engines.openvz.vzlist.query import Vzlist
from collectors.hostfs import Dir, HostReadError, Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.contract import Context, Options

log = logging.getLogger(__name__)

FIRST_WAIT = 3.0
"""Seconds that the first pass waits for vzlist; later ones use the last answer."""


def choice_of(options: Options) -> tuple[object, ...]:
    """Return the options on which the source depends."""
    path = _environment(options).get("PATH", "")
    return options.vzlist_file, options.vzlist_command, path


def make_source(options: Options, *, inside: bool) -> Source | None:
    """Return the source that the options name, else the vzlist in the PATH; None without one.

    ``inside`` a container vzlist shows nothing, even where it is installed.
    """
    environment = _environment(options)
    if options.vzlist_file:
        return FileSource(options.vzlist_file)
    if options.vzlist_command:
        return ProgramSource(Program(options.vzlist_command, environment))
    if inside:
        return None
    program = Program(("vzlist",), environment)
    return ProgramSource(program) if program.path() is not None else None


def _environment(options: Options) -> Mapping[str, str]:
    return options.environment or os.environ


class Source(Protocol):
    """Something that has vzlist's last good answer."""

    @property
    def answer(self) -> Answer | None:
        """The last good answer; None before the first."""
        ...

    @property
    def problem(self) -> str:
        """Why there is no newer one, in one line; empty when all is well."""
        ...

    def refresh(self, ctx: Context, *, containers: int, hurry: bool) -> bool:
        """Get a newer answer when it is due; return whether that was tried.

        ``containers`` is about how many there are; ``hurry`` says that the answer is known to be
        out of date.
        """
        ...

    def close(self) -> None:
        """Stop what runs and close what is open."""
        ...


class FileSource:
    """A file with vzlist's output; its path is one of the agent's own file system."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._stamp: tuple[int, ...] = ()
        self.answer: Answer | None = None
        self.problem = ""

    def refresh(self, ctx: Context, *, containers: int, hurry: bool) -> bool:  # noqa: ARG002
        """Read the file if it has changed; a bad one leaves the last answer as it is."""
        try:
            return self._read(ctx)
        except (OSError, HostReadError, VzlistError) as error:
            problem = f"vzlist's output in {self._path}: {error}"
            if problem != self.problem:
                log.warning("%s", problem)
                ctx.host.tally.count(Malformed("vzlist", str(error)))
            self.problem = problem
            return True

    def close(self) -> None:
        """Nothing is kept open."""

    def _read(self, ctx: Context) -> bool:
        above, name = os.path.split(self._path)
        opened = os.open(above, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        with Dir(opened, above, ctx.host.tally) as directory:
            status = directory.stat(name)
            stamp = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return False
            containers = parse_output(directory.read(name, OUTPUT_LIMIT))
        self.answer = Answer(containers, status.st_mtime)
        self._stamp, self.problem = stamp, ""
        return True


class ProgramSource:
    """The program, run in the background."""

    def __init__(self, program: Program) -> None:
        self._background = Background(Vzlist(program).containers, program.identity)
        self._failures = 0
        self._waited = False

    @property
    def answer(self) -> Answer | None:
        """The last good answer."""
        return self._background.answer

    @property
    def problem(self) -> str:
        """Why the last run brought none."""
        late = "" if self.answer is not None else "vzlist has not answered yet"
        return self._background.problem or late

    def refresh(self, ctx: Context, *, containers: int, hurry: bool) -> bool:
        """Run it again when it is due; only the first run is waited for."""
        started = self._background.refresh(
            ctx.now, containers=containers, hurry=hurry, done=ctx.wake
        )
        if not self._waited:
            self._waited = True
            self._background.wait(FIRST_WAIT)
        if self._background.failures > self._failures:
            self._failures = self._background.failures
            ctx.host.tally.count(Malformed("vzlist", self.problem))
        return started

    def close(self) -> None:
        """Kill a run that is under way."""
        self._background.close()
