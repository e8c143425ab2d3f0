"""Logging: one line a record on standard error, as text or JSON, with priorities for journald.

A record's ``extra`` becomes key=value pairs. Untrusted text in a message cannot forge a line or
control a terminal: everything unprintable is escaped.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from agent.sanitize import printable

_LINE_LIMIT = 4000
"""Longest message; journald splits lines at 48 KiB."""

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
    handler = logging.StreamHandler(stream)
    journal = is_journal(stream, environment)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter(journal=journal))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Their debug lines contain whole answers of engines, and nothing that an operator needs.
    for chatty in ("docker", "urllib3", "pyroute2"):
        logging.getLogger(chatty).setLevel(max(logging.INFO, root.level))


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
