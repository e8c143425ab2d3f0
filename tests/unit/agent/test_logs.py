from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import logs
from tests.support.snapshots import EVIL


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(style: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level, style, stream=stream, environment={})
    return stream


def test_text() -> None:
    stream = logged("text")
    logging.getLogger("agent.x").warning("%d containers", 3, extra={"engine": "docker"})
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning agent\.x: 3 containers "
        r"engine='docker'\n",
        stream.getvalue(),
    )


def test_json() -> None:
    stream = logged("json")
    logging.getLogger("agent.x").info("hello %s", EVIL, extra={"engine": "docker"})
    entry = json.loads(stream.getvalue())
    assert entry["level"] == "info"
    assert entry["logger"] == "agent.x"
    assert entry["engine"] == "docker"
    assert entry["msg"].startswith("hello x\\x1b[31m")


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_name_cannot_forge_a_line(style: str) -> None:
    stream = logged(style)
    logging.getLogger("x").error("%s", EVIL, extra={"name_of_it": EVIL})
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "\x1b" not in text
    text.encode()


@pytest.mark.parametrize("style", ["text", "json"])
def test_an_exception_is_there_whole(style: str) -> None:
    stream = logged(style)
    try:
        int(EVIL)
    except ValueError:
        logging.getLogger("x").exception("it failed")
    text = stream.getvalue()
    assert "ValueError" in text
    assert "test_logs.py" in text
    assert "\x1b" not in text


def test_the_level_holds() -> None:
    stream = logged("text", "warning")
    logging.getLogger("x").info("quiet")
    assert stream.getvalue() == ""


def test_a_second_call_replaces_the_first() -> None:
    first = logged("text")
    second = logged("text")
    logging.getLogger("x").info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_priorities_for_the_journal(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        environment = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        logs.configure("debug", "text", stream=stream, environment=environment)
        for level in ("debug", "info", "warning", "error", "critical"):
            getattr(logging.getLogger("x"), level)("word")
        stream.seek(0)
        lines = stream.read().splitlines()
    assert lines == [f"<{number}>x: word" for number in (7, 6, 4, 3, 2)]


def test_another_stream_is_not_the_journal() -> None:
    assert not logs.is_journal(io.StringIO(), {"JOURNAL_STREAM": "1:2"})


class Bounded:
    """A handler with a clock of its own, and a logger that it alone serves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._stream = io.StringIO()
        self.handler = logs.BoundedHandler(self._stream, lambda: self.now)
        self.handler.setFormatter(logs.TextFormatter(journal=True))
        self.log = logging.getLogger("x")
        self.log.addHandler(self.handler)

    def lines(self) -> list[str]:
        """Return what was written since the last call."""
        text = self._stream.getvalue()
        self._stream.seek(0)
        self._stream.truncate()
        return text.splitlines()


@pytest.fixture
def bounded() -> Iterator[Bounded]:
    made = Bounded()
    made.log.propagate = False
    made.log.setLevel(logging.DEBUG)
    yield made
    made.log.removeHandler(made.handler)
    made.log.propagate = True
    made.log.setLevel(logging.NOTSET)
    made.handler.close()


def test_what_a_client_can_cause_at_will_is_bounded_and_summed_up(bounded: Bounded) -> None:
    for number in range(932):
        bounded.log.info("a request of %s was aborted", f"10.0.0.{number}")
        bounded.now += 0.01
    assert bounded.lines() == [f"<6>x: a request of 10.0.0.{n} was aborted" for n in range(10)]

    bounded.now += 60
    bounded.log.info("something else")

    assert bounded.lines() == [
        "<6>x: 922 more of this kind in 69 s, the last: a request of 10.0.0.931 was aborted",
        "<6>x: something else",
    ]


def test_a_flood_that_goes_on_for_a_day_is_some_lines_an_hour(bounded: Bounded) -> None:
    for _ in range(24 * 60):
        for _ in range(100):
            bounded.log.warning("refused")
            bounded.now += 0.6
    assert len(bounded.lines()) < 24 * 30


def test_after_a_quiet_time_a_kind_is_written_as_before(bounded: Bounded) -> None:
    for _ in range(100):
        bounded.log.warning("refused")
    bounded.now += 61
    bounded.log.warning("refused")
    bounded.now += 301
    bounded.lines()

    for _ in range(100):
        bounded.log.warning("refused")

    assert bounded.lines() == ["<4>x: refused"] * 10


def test_a_flood_hides_no_record_of_another_kind(bounded: Bounded) -> None:
    for _ in range(100):
        bounded.log.warning("refused")
    bounded.lines()

    bounded.log.warning("collector %s: %s", "docker", "is away")
    bounded.log.error("refused")

    assert bounded.lines() == ["<4>x: collector docker: is away", "<3>x: refused"]


def test_messages_that_are_all_different_are_bounded_together(bounded: Bounded) -> None:
    for number in range(5000):
        bounded.log.warning(f"refused {number}")  # noqa: G004
    assert len(bounded.lines()) < 300
    assert len(bounded.handler._windows) < 300


def test_of_the_tracebacks_of_one_kind_the_first_is_written(bounded: Bounded) -> None:
    for number in range(3):
        try:
            int(f"x{number}")
        except ValueError:
            bounded.log.exception("%s cannot be judged", "web")
    lines = bounded.lines()
    assert [line for line in lines if "judged" in line] == [
        "<3>x: web cannot be judged",
        "<3>x: web cannot be judged (ValueError: invalid literal for int() with base 10: 'x1')",
        "<3>x: web cannot be judged (ValueError: invalid literal for int() with base 10: 'x2')",
    ]
    assert sum("Traceback" in line for line in lines) == 1


def test_what_was_only_counted_is_written_at_the_end(bounded: Bounded) -> None:
    for _ in range(12):
        bounded.log.warning("refused")
    bounded.lines()

    bounded.handler.close()

    assert bounded.lines() == ["<4>x: 2 more of this kind in 0 s, the last: refused"]


def test_the_sum_is_written_though_nothing_else_is_logged(
    bounded: Bounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_WINDOW_SECONDS", 0.05)
    monkeypatch.setattr(bounded.handler, "_clock", time.monotonic)
    for _ in range(12):
        bounded.log.warning("refused")
    bounded.lines()

    written: list[str] = []
    deadline = time.monotonic() + 60
    while not written and time.monotonic() < deadline:
        time.sleep(0.01)
        written += bounded.lines()

    assert written[0].startswith("<4>x: ")
    assert "more of this kind" in written[0]


def test_debug_lines_are_not_bounded(bounded: Bounded) -> None:
    for _ in range(100):
        bounded.log.debug("seen")
    assert len(bounded.lines()) == 100


def test_a_new_configuration_loses_no_count() -> None:
    stream = logged("text")
    for _ in range(12):
        logging.getLogger("x").warning("refused")
    logs.configure("info", "text", stream=io.StringIO(), environment={})
    assert "2 more of this kind" in stream.getvalue()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_that_ends_a_thread_is_a_record(
    bounded: Bounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(logs, "log", bounded.log)
    logs.catch_threads()
    for _ in range(50):
        thread = threading.Thread(target=int, args=("x",), name="warm-up")
        thread.start()
        thread.join()
    lines = bounded.lines()
    assert lines[0] == "<3>x: thread warm-up was ended by an error"
    assert len(lines) < 30


def test_an_error_that_nobody_can_catch_is_a_record(
    bounded: Bounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __init__(self, error: Exception) -> None:
            self._error = error

        def __del__(self) -> None:
            raise self._error

    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(logs, "log", bounded.log)
    logs.catch_threads()
    for _ in range(50):
        Broken(BrokenPipeError("the client has gone"))
    for _ in range(50):
        Broken(ValueError("a mistake"))
    # What is for debugging alone has priority 7.
    lines = [line for line in bounded.lines() if not line.startswith("<7>")]
    assert "Broken.__del__" in lines[0]
    assert len([line for line in lines if "a mistake" in line]) <= 12
