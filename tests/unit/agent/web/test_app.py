from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import pytest
from prometheus_client.exposition import choose_encoder

from agent.config import load
from agent.web.answers import accepts_gzip
from agent.web.app import App, accepts_openmetrics, make_app
from agent.web.page import link
from tests.support.snapshots import BAD, LEGACY
from tests.support.web_server import FakePages

if TYPE_CHECKING:
    from agent.model import Container

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_OLD = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5"


@dataclass
class Answer:
    status: str
    headers: dict[str, str]
    body: bytes


def ask(app: App, path: str, method: str = "GET", **headers: str) -> Answer:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        **{f"HTTP_{name}": value for name, value in headers.items()},
    }
    pieces = app(environ, lambda status, sent: started.append((status, sent)))
    body = b"".join(pieces)
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
    ((status, sent),) = started
    assert len(dict(sent)) == len(sent)
    return Answer(status, dict(sent), body)


@pytest.fixture
def pages() -> FakePages:
    return FakePages()


@pytest.fixture
def app(pages: FakePages) -> App:
    return make_app(pages, load(""))


def test_the_front_page(app: App) -> None:
    answer = ask(app, "/")
    assert answer.status == "200 OK"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert b"legacy" in answer.body


@pytest.mark.parametrize("container", [LEGACY, BAD])
def test_each_container_has_a_page(app: App, container: Container) -> None:
    answer = ask(app, link(container.id))
    assert answer.status == "200 OK"
    assert b"Evidence" in answer.body


@pytest.mark.parametrize("path", ["/x", "/containers/", "/containers/docker/x", "/metrics/", ""])
def test_what_is_not_there(app: App, path: str) -> None:
    assert ask(app, path).status == "404 Not Found"


def test_health(app: App, pages: FakePages) -> None:
    pages.ready = False
    assert ask(app, "/-/healthy").status == "200 OK"
    assert ask(app, "/-/ready").status == "503 Service Unavailable"
    pages.ready = True
    assert ask(app, "/-/ready").status == "200 OK"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/x"])
def test_only_reading(app: App, method: str, path: str) -> None:
    answer = ask(app, path, method)
    assert answer.status == "405 Method Not Allowed"
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/x"])
def test_head_is_get_without_the_body(app: App, pages: FakePages, path: str) -> None:
    got, head = ask(app, path), ask(app, path, "HEAD")
    assert head.body == b""
    assert (head.status, head.headers) == (got.status, got.headers)
    assert len(pages.asked) <= 1


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/x", link(LEGACY.id)])
def test_every_answer_is_kept_from_harm(app: App, path: str) -> None:
    headers = ask(app, path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Cache-Control"] == "no-store"


def test_a_scrape_in_text(app: App, pages: FakePages) -> None:
    answer = ask(app, "/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.body == b"one 1\ntwo 2\n"
    assert pages.asked == [False]


def test_a_scrape_by_prometheus(app: App, pages: FakePages) -> None:
    answer = ask(app, "/metrics", ACCEPT=PROMETHEUS_2, ACCEPT_ENCODING="gzip")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body) == b"one 1\ntwo 2\n"
    assert pages.asked == [True]


def test_another_telemetry_path(pages: FakePages) -> None:
    app = make_app(pages, load("", {"web.telemetry_path": "/probe"}))
    assert ask(app, "/probe").status == "200 OK"
    assert ask(app, "/metrics").status == "404 Not Found"
    assert b'href="/probe"' in ask(app, "/").body


def test_too_many_scrapes_are_told_so(pages: FakePages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.web.app._SLOT_SECONDS", 0.0)
    app = make_app(pages, load("", {"web.max_requests": 1}))
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics"}
    first = app(environ, lambda *_: None)
    answer = ask(app, "/metrics")
    assert answer.status == "503 Service Unavailable"
    assert answer.headers["Retry-After"] == "1"
    first.close()  # type: ignore[attr-defined]
    assert ask(app, "/metrics").status == "200 OK"


def test_a_scrape_waits_for_a_place(pages: FakePages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.web.app._SLOT_SECONDS", 60.0)
    app = make_app(pages, load("", {"web.max_requests": 1}))
    first = app({"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics"}, lambda *_: None)
    answers: list[Answer] = []
    waiting = threading.Thread(target=lambda: answers.append(ask(app, "/metrics")))
    waiting.start()
    first.close()  # type: ignore[attr-defined]
    waiting.join()
    assert answers[0].status == "200 OK"


def test_a_scrape_that_fails_gives_its_place_back(pages: FakePages) -> None:
    app = make_app(pages, load("", {"web.max_requests": 1}))
    pages.broken = True
    with pytest.raises(ValueError, match="broken"):
        ask(app, "/metrics")
    pages.broken = False
    assert ask(app, "/metrics").status == "200 OK"


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html,application/xhtml+xml,*/*;q=0.8",
        "text/plain",
        "text/plain;version=0.0.4",
        "application/openmetrics-text",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        PROMETHEUS_2,
        PROMETHEUS_3,
        PROMETHEUS_OLD,
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.6,"
        + PROMETHEUS_3,
    ],
)
def test_the_format_is_what_prometheus_client_would_choose(accept: str) -> None:
    theirs = choose_encoder(accept)[1].startswith("application/openmetrics-text")
    assert accepts_openmetrics(accept) is theirs


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("application/openmetrics-text;version=2.0.0,*/*;q=0.1", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.8", False),
        ("application/openmetrics-text;q=x,text/plain", False),
        ("application/openmetrics-text;version=1.0.\xe4,text/plain", False),
        ("Application/OpenMetrics-Text; Version=1.0.0", True),
        (";;,=;q=", False),
    ],
)
def test_preferences(accept: str, openmetrics: bool) -> None:
    assert accepts_openmetrics(accept) is openmetrics


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("*", True),
        ("gzip;q=0,*", False),
        ("identity", False),
    ],
)
def test_gzip(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted
