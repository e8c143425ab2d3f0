"""Logging: one line a record on standard error, as text or JSON, with priorities for journald.

A record's ``extra`` becomes key=value pairs. Untrusted text in a message cannot forge a line or
control a terminal: everything unprintable is escaped. And what a client, a container or another
user can cause as often as they like cannot fill the log: see ``BoundedHandler``.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TextIO

from agent.sanitize import printable

log = logging.getLogger(__name__)

_LINE_LIMIT = 4000
"""Longest message; journald splits lines at 48 KiB."""

_BURST = 10
"""Records of one kind that are written in a window; what follows in it is only counted."""

_WINDOW_SECONDS = 60.0
_FLOOD_BURST = 1
_FLOOD_SECONDS = 300.0
"""The same two while a kind floods the log: after each window in which some were only counted."""

_MOST_KINDS = 200
"""Kinds of records that are counted each by itself; the others of a window share one count."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)


def configure(
    level: str,
    style: str,
    *,
    stream: TextIO | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Send everything of ``level`` and above to ``stream``; ``style`` is text or json.

    It replaces what an earlier call set up.
    """
    stream = sys.stderr if stream is None else stream
    handler = BoundedHandler(stream)
    journal = is_journal(stream, environment)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter(journal=journal))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        if isinstance(old, BoundedHandler):
            old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Their debug lines contain whole answers of engines, and nothing that an operator needs.
    for chatty in ("docker", "urllib3", "pyroute2"):
        logging.getLogger(chatty).setLevel(max(logging.INFO, root.level))


def catch_threads() -> None:
    """Log what ends a thread, or is ignored, as any other record.

    Python writes both past the log, and unbounded.
    """
    threading.excepthook = _log_end
    sys.unraisablehook = _log_ignored


def _log_end(end: threading.ExceptHookArgs) -> None:
    if end.exc_value is None or isinstance(end.exc_value, SystemExit):
        return
    name = end.thread.name if end.thread is not None else "?"
    log.error(
        "thread %s was ended by an error",
        name,
        exc_info=(end.exc_type, end.exc_value, end.exc_traceback),
    )


def _log_ignored(ignored: sys.UnraisableHookArgs) -> None:
    """Log an exception that nobody can catch, as that of a deallocator.

    Since Python 3.13 a file says in that way that what was left to write could not be written: to a
    client that has gone, which any client can cause.
    """
    value = ignored.exc_value
    if value is None:
        return
    level = logging.DEBUG if isinstance(value, OSError) else logging.ERROR
    where = ignored.err_msg or "Exception ignored in"
    error = (ignored.exc_type, value, ignored.exc_traceback)
    log.log(level, "%s %r", where, ignored.object, exc_info=error)


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether a stream leads to journald: $JOURNAL_STREAM, systemd.exec(5)."""
    expected = environment.get("JOURNAL_STREAM")
    if not expected:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return expected == f"{status.st_dev}:{status.st_ino}"


_Kind = tuple[str, int, str]
"""What records have in common that one line of the program makes: logger, level, format."""

_OTHERS: _Kind = ("agent.logs", logging.WARNING, "")


@dataclass(slots=True)
class _Window:
    """The records of one kind since some moment of a monotonic clock, in seconds."""

    began: float
    seconds: float
    burst: int
    count: int = 0
    last: str = ""
    """Message of the last one that was only counted."""

    @property
    def end(self) -> float:
        """When it is over."""
        return self.began + self.seconds

    @property
    def more(self) -> int:
        """How many were only counted."""
        return max(0, self.count - self.burst)


class BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes a few records of each kind a minute, and then how many more of it there were.

    Of each kind the first of a window has its traceback. Debug lines are not bounded, as they are
    off unless asked for, nor are critical ones, after which the agent ends.
    """

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stream)
        self._clock = clock
        self._windows: dict[_Kind, _Window] = {}
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write or count a record. The caller holds the lock, logging.Handler.handle."""
        if not logging.DEBUG < record.levelno < logging.CRITICAL:
            super().emit(record)
            return
        now = self._clock()
        self._sum_up(now)
        window = self._window_of(record, now)
        window.count += 1
        if window.more:
            window.last = record.getMessage()
            self._wake_at(window.end, now)
            return
        if record.exc_info and window.count > 1:
            record = _without_traceback(record)
        super().emit(record)

    def close(self) -> None:
        """Write what was only counted so far."""
        self.acquire()
        try:
            self._sum_up(float("inf"))
            if self._timer is not None:
                self._timer.cancel()
        finally:
            self.release()
        super().close()

    def _window_of(self, record: logging.LogRecord, now: float) -> _Window:
        kind = (record.name, record.levelno, str(record.msg))
        if kind not in self._windows and len(self._windows) >= _MOST_KINDS:
            kind = _OTHERS
        if kind not in self._windows:
            self._windows[kind] = _Window(now, _WINDOW_SECONDS, _BURST)
        return self._windows[kind]

    def _sum_up(self, now: float) -> None:
        """End the windows that are over: write how many records of each were only counted."""
        for kind, window in list(self._windows.items()):
            if window.end > now:
                continue
            del self._windows[kind]
            if window.more:
                super().emit(_summary(kind, window, min(now, self._clock())))
                self._windows[kind] = _Window(now, _FLOOD_SECONDS, _FLOOD_BURST)

    def _wake_at(self, when: float, now: float) -> None:
        """Have the window summed up when it is over, though nothing may be logged then."""
        if self._timer is None:
            self._timer = threading.Timer(max(0.0, when - now), self._wake)
            self._timer.daemon = True
            self._timer.start()

    def _wake(self) -> None:
        self.acquire()
        try:
            self._timer = None
            now = self._clock()
            self._sum_up(now)
            ends = [window.end for window in self._windows.values() if window.more]
            if ends:
                self._wake_at(min(ends), now)
        finally:
            self.release()


def _summary(kind: _Kind, window: _Window, now: float) -> logging.LogRecord:
    name, level, _ = kind
    return logging.makeLogRecord(
        {
            "name": name,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": "%d more of this kind in %.0f s, the last: %s",
            "args": (window.more, now - window.began, window.last),
        }
    )


def _without_traceback(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record of an exception with the exception's own line alone."""
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    shown = (record.getMessage(), type(error).__name__, error)
    return logging.makeLogRecord(
        {**vars(record), "msg": "%s (%s: %s)", "args": shown, "exc_info": None, "exc_text": None}
    )


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class TextFormatter(logging.Formatter):
    """Lines with a time, or for journald, which has its own clock, with ``<N>``, the priority."""

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of one record; only an exception has more than one."""
        words = [f"{record.name}: {printable(record.getMessage(), _LINE_LIMIT)}"]
        words += [f"{name}={printable(str(value))!r}" for name, value in _extras(record).items()]
        lines = [" ".join(words)]
        if record.exc_info:
            text = self.formatException(record.exc_info)
            lines += [printable(part, _LINE_LIMIT) for part in text.splitlines()]
        return "\n".join(self._head(record) + text for text in lines)

    def _head(self, record: logging.LogRecord) -> str:
        if self._journal:
            return f"<{priority(record.levelno)}>"
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{int(record.msecs):03d}Z {record.levelname.lower()} "


class JsonFormatter(logging.Formatter):
    """One JSON object on each line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one record as an object with ts, level, logger, msg and its extras."""
        import json  # noqa: PLC0415 - most logs are text

        entry: dict[str, object] = {
            "ts": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": printable(record.getMessage(), _LINE_LIMIT),
        }
        entry |= {name: printable(str(value)) for name, value in _extras(record).items()}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def priority(level: int) -> int:
    """Return the priority of syslog(3) for a level of Python's logging."""
    return next((number for least, number in _PRIORITIES if level >= least), 7)
