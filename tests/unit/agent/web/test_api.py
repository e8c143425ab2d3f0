"""The API, asked as a WSGI application, also by schemathesis."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

import pytest
import schemathesis
from hypothesis import settings

from agent.api import openapi
from agent.config import load
from agent.sanitize import escape_bytes
from agent.web.app import App, make_app
from collectors.facts import State
from tests.support.snapshots import BAD, EVIL, LEGACY, WEB, picture
from tests.support.web_server import FakePages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Container, Snapshot

ROOT = "/api/v1"


class Answer:
    def __init__(self, status: str, headers: dict[str, str], body: bytes) -> None:
        self.status = int(status.split(maxsplit=1)[0])
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(app: App, target: str, method: str = "GET", **headers: str) -> Answer:
    path, _, query = target.partition("?")
    started: list[tuple[str, list[tuple[str, str]]]] = []
    environ = {
        "REQUEST_METHOD": method,
        # As cheroot does it, which leaves %2F as it is.
        "PATH_INFO": unquote_to_bytes(path.replace("%2F", "%252F")).decode("latin-1"),
        "QUERY_STRING": query,
        "REMOTE_ADDR": "::1",
        **{f"HTTP_{name}": value for name, value in headers.items()},
    }
    pieces = app(environ, lambda status, sent: started.append((status, sent)))
    body = b"".join(pieces)
    ((status, sent),) = started
    assert len(dict(sent)) == len(sent)
    return Answer(status, dict(sent), body)


class Pages(FakePages):
    """Pages whose snapshot changes when it is told to."""

    def __init__(self, now: Snapshot | None = None) -> None:
        super().__init__()
        self.now = now or picture()

    def snapshot(self) -> Snapshot:
        return self.now


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def app(pages: Pages) -> Iterator[App]:
    app = make_app(pages, load(""))
    yield app
    app.close()


def test_the_list(app: App) -> None:
    answer = ask(app, f"{ROOT}/containers")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert {c["name"] for c in answer.json["containers"]} >= {"web", "legacy", "inner"}
    assert answer.json["complete"]


def test_filters(app: App) -> None:
    def names(query: str) -> list[str]:
        found = ask(app, f"{ROOT}/containers?{query}").json["containers"]
        return [c["name"] for c in found]

    assert names("style=system") == ["legacy"]
    assert names("style=system,unknown&engine=docker") == ["legacy", "inner"]
    assert len(names("engine=lxc&engine=docker")) == 4
    assert names("engine=nothing") == []
    assert "old" in names("removed=true")
    assert "old" not in names("removed=false")


def test_every_answer_is_kept_from_harm(app: App) -> None:
    for path in ("/containers", f"/containers{WEB.id}", "/host", "/use", "/openapi.json", "/no"):
        headers = ask(app, ROOT + path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Content-Type"].split("/")[0] == "application"
        assert "no-" in headers["Cache-Control"]


@pytest.mark.parametrize("container", [WEB, LEGACY, BAD])
def test_each_container_is_found_by_its_id(app: App, container: Container) -> None:
    raw = container.id.encode("utf-8", "surrogateescape")
    again = container.id.encode("utf-8", "surrogatepass")
    for path in (quote(raw, safe="/"), quote(raw, safe=""), quote(again, safe="/")):
        answer = ask(app, f"{ROOT}/containers/{path.removeprefix('/')}")
        assert answer.status == 200, path
        assert answer.json["verdict"]
    listed = ask(app, f"{ROOT}/containers").json["containers"]
    shown = escape_bytes(container.id)
    assert shown in [entry["id"] for entry in listed]
    assert ask(app, f"{ROOT}/containers{quote(shown)}").json["id"] == shown


@pytest.mark.parametrize(
    "wanted",
    ["docker/none", "x", "%2F", "..%2f..%2fetc%2fpasswd", quote(EVIL.replace("\udcff", ""))],
)
def test_an_unknown_id(app: App, wanted: str) -> None:
    answer = ask(app, f"{ROOT}/containers/{wanted}")
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["status"] == 404
    assert "no container" in answer.json["detail"]
    assert answer.json["detail"].isprintable()


@pytest.mark.parametrize("path", ["/api/", "/api/v2/containers", f"{ROOT}/", f"{ROOT}/containers/"])
def test_an_unknown_path(app: App, path: str) -> None:
    assert ask(app, path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"])
@pytest.mark.parametrize("path", ["/containers", "/events", "/nothing"])
def test_only_reading(app: App, path: str, method: str) -> None:
    answer = ask(app, ROOT + path, method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert answer.json["title"] == "Method Not Allowed"


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("stile=app", "no parameter stile"),
        ("style=apps", "app, system, unknown"),
        ("style=", "app, system, unknown"),
        ("removed=yes", "true, false"),
        ("use=true&use=true", "twice"),
        ("%1b%5b31m=1", r"\x1b[31m"),
        ("engine=%ff", "cannot be read"),
        ("&".join("engine=a" for _ in range(50)), "cannot be read"),
        ("engine=" + "x" * 5000, "longer"),
    ],
)
def test_a_wrong_query(app: App, query: str, part: str) -> None:
    answer = ask(app, f"{ROOT}/containers?{query}")
    assert answer.status == 400
    assert part in answer.json["detail"]


def test_a_parameter_of_another_path_is_none_here(app: App) -> None:
    assert ask(app, f"{ROOT}/use?style=app").status == 400
    assert ask(app, f"{ROOT}/openapi.json?x").status == 400


@pytest.mark.parametrize("path", ["/containers", f"/containers{WEB.id}", "/openapi.json"])
def test_what_has_not_changed_is_not_sent_again(pages: Pages, app: App, path: str) -> None:
    target = f"{ROOT}{path}" if "openapi" in path else f"{ROOT}{path}?use=false"
    first = ask(app, target)
    tag = first.headers["ETag"]
    for sent in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = ask(app, target, IF_NONE_MATCH=sent)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert ask(app, target, IF_NONE_MATCH='"other"').status == 200
    # The same containers at a later moment.
    pages.now = replace(pages.now, as_of=pages.now.as_of + 60)
    assert ask(app, target, IF_NONE_MATCH=tag).status == 304
    pages.now = picture(replace(WEB, name="renamed"))
    assert ask(app, target, IF_NONE_MATCH=tag).status == (304 if "openapi" in path else 200)


def test_an_agent_that_was_restarted_has_other_tags(app: App) -> None:
    other = make_app(Pages(), load(""))
    target = f"{ROOT}/containers?use=false"
    tag = ask(app, target).headers["ETag"]
    assert ask(other, target, IF_NONE_MATCH=tag).status == 200
    assert tag != ask(app, f"{target}&removed=true").headers["ETag"]


def test_head_is_get_without_the_body(app: App) -> None:
    for path in ("/containers?use=false", "/nothing", "/openapi.json"):
        got, head = ask(app, ROOT + path), ask(app, ROOT + path, "HEAD")
        assert head.body == b""
        assert (head.status, head.headers) == (got.status, got.headers)
    assert ask(app, f"{ROOT}/events", "HEAD").headers["Content-Type"] == "text/event-stream"


def test_gzip(app: App) -> None:
    plain = ask(app, f"{ROOT}/containers?use=false")
    packed = ask(app, f"{ROOT}/containers?use=false", ACCEPT_ENCODING="gzip, br")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 2


def test_who_does_not_ask_for_use_has_nothing_read(pages: Pages, app: App) -> None:
    for path in ("/containers?use=false", "/host?use=false", f"/containers{WEB.id}?use=false"):
        assert ask(app, ROOT + path).status == 200
    ask(app, f"{ROOT}/openapi.json")
    ask(app, f"{ROOT}/nothing")
    ask(app, "/")
    assert pages.read == 0
    for _ in range(20):
        ask(app, f"{ROOT}/use")
    assert pages.read == 1


def test_nothing_that_may_hold_a_secret_is_served(pages: Pages, app: App) -> None:
    secret = "hunter2-of-the-label"
    container = replace(
        WEB, labels={"token": secret}, command=("x", secret), mounts=(f"/{secret}",)
    )
    pages.now = picture(container)
    for path in ("/containers", f"/containers{WEB.id}", "/host", "/use"):
        assert secret.encode() not in ask(app, ROOT + path).body


def test_hostile_names_are_data(pages: Pages, app: App) -> None:
    for name in ("\x1b]0;owned\x07", "<img src=x onerror=alert(1)>", "\u202egnp.exe", "x" * 10_000):
        pages.now = picture(replace(WEB, name=name, image=name, hostname=name))
        answer = ask(app, f"{ROOT}/containers")
        assert answer.json["containers"][0]["name"] == name
        assert answer.body.isascii()
        assert b"<" not in answer.body
        assert b"\x1b" not in answer.body


def test_five_thousand_containers(pages: Pages, app: App) -> None:
    many = [
        replace(WEB, id=f"/docker/{n:064x}", engine_id=f"{n:064x}", name=f"web-{n}")
        for n in range(5000)
    ]
    pages.now = picture(*many)
    answer = ask(app, f"{ROOT}/containers?use=false", ACCEPT_ENCODING="gzip")
    assert len(answer.body) < 1_000_000
    assert len(json.loads(gzip.decompress(answer.body))["containers"]) == 5000
    tag = answer.headers["ETag"]
    assert ask(app, f"{ROOT}/containers?use=false", IF_NONE_MATCH=tag).status == 304


def test_what_is_kept_to_be_sent_again_has_an_end(app: App) -> None:
    for number in range(100):
        ask(app, f"{ROOT}/containers?use=false&engine=e{number}")
    assert app._api is not None
    assert len(app._api._kept) <= 16


def test_too_many_requests_at_a_time(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.web.api._SLOT_SECONDS", 0.01)
    ask(app, f"{ROOT}/use")
    assert app._api is not None
    for _ in range(3):
        app._api._slots.acquire()
    answer = ask(app, f"{ROOT}/containers")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    app._api._slots.release()
    assert ask(app, f"{ROOT}/containers").status == 200


def test_before_the_first_scan_is_complete(pages: Pages, app: App) -> None:
    pages.now = picture(complete=False)
    assert ask(app, f"{ROOT}/containers").json["complete"] is False
    assert ask(app, f"{ROOT}/host").json["complete"] is False


def test_a_stopped_container_is_there(pages: Pages, app: App) -> None:
    pages.now = picture(replace(WEB, state=State.EXITED, init=None))
    answer = ask(app, f"{ROOT}/containers{WEB.id}")
    assert (answer.json["state"], answer.json["use"], answer.json["processes"]) == (
        "exited",
        None,
        [],
    )


_SCHEMA = schemathesis.openapi.from_wsgi(
    f"{ROOT}/openapi.json", make_app(FakePages(), load(""))
).exclude(path=f"{ROOT}/events")


@_SCHEMA.parametrize()
@settings(max_examples=25)
def test_answers_are_as_the_document_says(case: Any) -> None:
    case.call_and_validate(headers={"Accept-Encoding": "identity"})


def test_the_document_names_every_path(app: App) -> None:
    paths = ask(app, f"{ROOT}/openapi.json").json["paths"]
    assert paths.keys() == {ROOT + each.path for each in openapi.OPERATIONS}
