from __future__ import annotations

import io
import json
import logging
import os
import re
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
