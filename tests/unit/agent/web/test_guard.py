from __future__ import annotations

import base64
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bcrypt
import pytest

from agent.config import ConfigError
from agent.web import guard
from agent.web.guard import Guard, Passwords
from agent.web.webconfig import WebFiles, read_files

if TYPE_CHECKING:
    from agent.web.answers import StartResponse

ALICE = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
USERS = {"alice": ALICE}


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def status(passwords: Passwords, authorization: str) -> str:
    refusal = passwords.refuse(authorization, USERS)
    return "200" if refusal is None else refusal[0].partition(" ")[0]


@dataclass
class Hashing:
    """Counts how often a password was hashed."""

    count: int = 0


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Hashing:
    counted = Hashing()
    right = guard._is_right

    def count(password: bytes, hashed: str) -> bool:
        counted.count += 1
        return right(password, hashed)

    monkeypatch.setattr(guard, "_is_right", count)
    return counted


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (basic("alice", "secret"), "200"),
        (basic("alice", "secret").replace("Basic", "bASIC"), "200"),
        (basic("alice", "Secret"), "401"),
        (basic("alice", ""), "401"),
        (basic("alice", "secret\0"), "401"),
        (basic("alice", "x" * 5000), "401"),
        (basic("bob", "secret"), "401"),
        (basic("bob", "fakepassword"), "401"),
        (basic("\u00e9", "\u00e9"), "401"),
        ("", "401"),
        ("Basic", "401"),
        ("Basic \u00e9", "401"),
        ("Basic " + base64.b64encode(b"alice").decode(), "401"),
        ("Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(), "401"),
        ("Bearer secret", "401"),
    ],
)
def test_who_comes_in(authorization: str, expected: str) -> None:
    passwords = Passwords()
    assert [status(passwords, authorization) for _ in range(2)] == [expected, expected]


def test_a_password_is_hashed_once(hashing: Hashing) -> None:
    passwords = Passwords()
    for _ in range(50):
        assert status(passwords, basic("alice", "secret")) == "200"
        assert status(passwords, basic("alice", "wrong")) == "401"
    assert hashing.count == 2


def test_with_another_hash_it_is_another(hashing: Hashing) -> None:
    passwords = Passwords()
    assert passwords.refuse(basic("alice", "secret"), USERS) is None
    other = {"alice": bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()}
    assert passwords.refuse(basic("alice", "secret"), other) is not None
    assert passwords.refuse(basic("alice", "secret"), {}) is not None
    assert hashing.count == 3


def test_an_unknown_user_costs_as_much_as_a_known_one(hashing: Hashing) -> None:
    status(Passwords(), basic("bob", "x"))
    assert hashing.count == 1


def test_wrong_ones_do_not_drive_out_the_right_one(hashing: Hashing) -> None:
    passwords = Passwords()
    assert status(passwords, basic("alice", "secret")) == "200"
    guard_limit = guard._REMEMBERED
    for number in range(guard_limit + 5):
        passwords._remember(b"alice", ALICE, str(number).encode(), right=False)
    before = hashing.count
    assert status(passwords, basic("alice", "secret")) == "200"
    assert hashing.count == before
    assert len(passwords._wrong) == guard_limit


def test_whoever_tries_many_waits_and_who_is_known_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passwords = Passwords()
    assert status(passwords, basic("alice", "secret")) == "200"
    hashing, go_on = threading.Semaphore(0), threading.Event()

    def slow(_password: bytes, _hashed: str) -> bool:
        hashing.release()
        go_on.wait(60)
        return False

    monkeypatch.setattr(guard, "_is_right", slow)
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(status(passwords, basic("alice", n))))
        for n in ("a", "b")
    ]
    threads[0].start()
    assert hashing.acquire(timeout=60)
    threads[1].start()
    while passwords._queue._value:
        pass  # the second one is on its way, and is not to find the place taken by us
    assert status(passwords, basic("alice", "c")) == "429"
    assert status(passwords, basic("alice", "secret")) == "200"
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert answers == ["401", "401"]
    assert status(passwords, basic("alice", "c")) == "401"


class Web:
    """A file of the web configuration, and what guards by it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("")
        self.readings = 0
        self.guard = Guard(self.read, self.read())

    def read(self) -> WebFiles:
        self.readings += 1
        return read_files(str(self.path))

    def write(self, text: str) -> None:
        self.path.write_text(text)

    def ask(
        self, authorization: str = "", method: str = "GET"
    ) -> tuple[str, dict[str, str], bytes]:
        got: list[tuple[str, dict[str, str]]] = []

        def application(_: object, start_response: StartResponse) -> list[bytes]:
            start_response("200 OK", [("X-Frame-Options", "DENY"), ("A", "b")])
            return [b"secret page"]

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            got.append((status.partition(" ")[0], dict(headers)))

        environ = {"HTTP_AUTHORIZATION": authorization, "REQUEST_METHOD": method}
        body = b"".join(self.guard.protect(application)(environ, start_response))
        return *got[0], body


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return Web(tmp_path / "web.yml")


def test_a_file_that_changes_holds_at_once(web: Web) -> None:
    assert web.ask()[0] == "200"
    assert not web.guard.asks
    web.write(f"basic_auth_users: {{alice: {ALICE}}}")
    found = web.ask()
    assert (found[0], found[2]) == ("401", b"401 Unauthorized\n")
    assert found[1]["WWW-Authenticate"].startswith("Basic ")
    assert web.guard.asks
    assert web.ask(method="HEAD")[2] == b""
    assert web.ask(basic("alice", "secret"))[0] == "200"
    web.write("http_server_config: {headers: {X-Frame-Options: sameorigin}}")
    assert web.ask()[:2] == ("200", {"X-Frame-Options": "sameorigin", "A": "b"})


def test_a_wrong_one_changes_nothing_and_is_said_once(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    web.write(f"basic_auth_users: {{alice: {ALICE}}}")
    assert web.ask()[0] == "401"
    web.write("basic_auth_users: {}\nfoo: 1")
    assert [web.ask()[0] for _ in range(5)] == ["401"] * 5
    (said,) = (r.message for r in caplog.records if r.levelname == "ERROR")
    assert said.startswith(f"the web configuration was not changed: {web.path}: foo: unknown key")
    web.write("")
    assert web.ask()[0] == "200"


def test_one_that_is_gone_changes_nothing(web: Web) -> None:
    web.write(f"basic_auth_users: {{alice: {ALICE}}}")
    assert web.ask()[0] == "401"
    web.path.unlink()
    assert web.ask()[0] == "401"


def test_it_is_not_read_again_while_it_stays_the_same(web: Web) -> None:
    for _ in range(3):
        assert web.ask()[0] == "200"
    assert web.readings == 1
    os.utime(web.path, (1, 1))
    assert web.ask()[0] == "200"
    assert web.readings == 2


def test_what_cannot_be_used_is_an_error_when_it_is_prepared(web: Web, tmp_path: Path) -> None:
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
    web.write("tls_server_config: {cert_file: c.pem, key_file: k.pem}")
    with pytest.raises(ConfigError, match=r"web\.yml: tls_server_config: cert_file, key_file: "):
        web.guard.prepare()
    assert web.guard.gate is None
