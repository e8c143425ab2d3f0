from __future__ import annotations

import logging
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.config import Config, ConfigError, load
from agent.web import app, httpd
from agent.web.app import make_app
from agent.web.guard import Guard
from agent.web.server import WebServer
from agent.web.webconfig import WebFiles, read_files
from tests.support.certificates import Authority
from tests.support.web_server import TIMEOUT, EndlessPages, FakePages

ASK = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
STAY = ASK.replace(b"close", b"keep-alive")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with certificates; making them is slow."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    authority.sign("server", "DNS:localhost", "IP:127.0.0.1")
    authority.sign("other", "DNS:localhost")
    authority.sign("client", "DNS:prometheus.example", "IP:2001:db8::1", "email:a@example.com")
    authority.sign("nameless")
    Authority(folder, "stranger").sign("intruder", "DNS:prometheus.example")
    return folder


def guarded(config: Config) -> Guard:
    def read() -> WebFiles:
        return read_files(config.web.config_file)

    return Guard(read, read())


class Place:
    """A folder with a web configuration and the files that it names, and a server of it."""

    def __init__(self, folder: Path, made: Path) -> None:
        self.folder = folder
        shutil.copytree(made, folder, dirs_exist_ok=True)
        self.configure()

    def configure(self, *lines: str) -> None:
        tls = ("cert_file: server.pem", "key_file: server.key", *lines)
        text = "tls_server_config:\n" + "".join(f"  {line}\n" for line in tls)
        (self.folder / "web.yml").write_text(text)

    def verify(self, how: str, *lines: str) -> None:
        self.configure("client_ca_file: ca.pem", f"client_auth_type: {how}", *lines)

    @contextmanager
    def serving(self, state: FakePages | None = None, most: int = 8) -> Iterator[tuple[str, int]]:
        flags = {"web.listen_address": "127.0.0.1:0", "web.max_requests": most}
        config = load("", {**flags, "web.config_file": str(self.folder / "web.yml")})
        guard = guarded(config)
        server = WebServer(config, make_app(state or FakePages(), config), guard)
        server.bind()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.address
        finally:
            server.stop()
            thread.join(TIMEOUT)
            assert not thread.is_alive()

    def connect(
        self, address: tuple[str, int], client: str = "", most: ssl.TLSVersion | None = None
    ) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if most is not None:
            context.maximum_version = most
        if client:
            pair = (self.folder / f"{client}.pem", self.folder / f"{client}.key")
            context.load_cert_chain(*pair)
        plain = socket.create_connection(address, timeout=TIMEOUT)
        try:
            return context.wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise

    def asks(self, address: tuple[str, int], client: str = "") -> bool:
        """Return whether it gets an answer, over TLS."""
        try:
            with self.connect(address, client) as sock:
                sock.sendall(ASK)
                return sock.recv(1000).startswith(b"HTTP/1.1 200 ")
        except OSError:
            return False


@pytest.fixture
def place(tmp_path: Path, made: Path) -> Place:
    return Place(tmp_path, made)


def test_it_answers_over_tls(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), place.serving() as address:
        assert place.asks(address)
        with place.connect(address) as sock:
            assert sock.version() == "TLSv1.3"
    assert f"listening on https://127.0.0.1:{address[1]}/" in caplog.messages


def test_a_connection_stays_for_more_requests(place: Place) -> None:
    with place.serving() as address, place.connect(address) as sock:
        # At once, so that what comes second lies in TLS's own buffer.
        padding = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 9000 + b"\r\n\r\n"
        sock.sendall(padding + STAY + ASK)
        answers = b""
        while piece := sock.recv(65536):
            answers += piece
    assert answers.count(b"HTTP/1.1 200 ") == 3


def test_who_speaks_no_tls_is_told_so(place: Place) -> None:
    with place.serving() as address:
        with socket.create_connection(address, timeout=TIMEOUT) as sock:
            sock.sendall(ASK)
            assert sock.recv(1000).startswith(b"HTTP/1.1 400 ")
        assert place.asks(address)


def test_whoever_fails_to_get_in_is_nobody_elses_trouble(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with place.serving() as address:
        for greeting in (
            b"\x16\x03\x01",
            b"\x16" + b"x" * 500,
            b"\x16\x03\x01\x00\x05hello",
            b"\x80",
        ):
            with socket.create_connection(address, timeout=TIMEOUT) as sock:
                # The server may have hung up before we have: then there is nothing to shut down.
                try:
                    sock.sendall(greeting)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(1000):
                        pass
                except TimeoutError:
                    pytest.fail("the server left the connection open")
                except OSError:
                    pass
        assert place.asks(address)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_those_that_never_shake_hands_hold_up_nobody(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # There are threads enough for all: nobody need be hurried, also not who comes last.
    monkeypatch.setattr(httpd, "_HURRIED_SECONDS", httpd._HEADER_SECONDS)
    with place.serving() as address:
        silent = [socket.create_connection(address) for _ in range(40)]
        slow = [socket.create_connection(address) for _ in range(8)]
        for sock in slow:
            sock.sendall(b"\x16\x03")
        try:
            assert place.asks(address)
        finally:
            for sock in silent + slow:
                sock.close()


def test_a_slow_handshake_is_cut_off(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpd, "_HEADER_SECONDS", 0.5)
    with place.serving() as address, socket.create_connection(address, timeout=TIMEOUT) as sock:
        sock.sendall(b"\x16\x03\x01")
        with suppress(ConnectionResetError):
            assert sock.recv(1000) == b""


def test_a_slow_reader_is_cut_off(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_SLOT_SECONDS", 0.01)
    scrape = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"

    def status() -> bytes:
        with place.connect(address) as other:
            other.sendall(scrape)
            return other.recv(200).split(b" ", 2)[1]

    def reader() -> ssl.SSLSocket:
        while True:
            try:
                sock = place.connect(address)
                sock.sendall(scrape)
                if sock.recv(10):
                    return sock
                sock.close()
            except ssl.SSLCertVerificationError:
                raise  # it would be so for ever
            except OSError:
                # Where the machine is busy, it may be cut off before its answer has begun.
                continue

    with place.serving(EndlessPages(), 1) as address:
        with monkeypatch.context() as short:
            short.setattr(httpd, "_REQUEST_SECONDS", 0.5)
            sock = reader()
        # It reads no more, and still the one place for scrapes becomes free.
        with sock:
            while (found := status()) == b"503":
                pass
        assert found == b"200"


@pytest.mark.parametrize(
    ("how", "client", "gets_in"),
    [
        ("NoClientCert", "", True),
        ("NoClientCert", "intruder", True),
        ("VerifyClientCertIfGiven", "", True),
        ("VerifyClientCertIfGiven", "client", True),
        ("VerifyClientCertIfGiven", "intruder", False),
        ("RequireAndVerifyClientCert", "", False),
        ("RequireAndVerifyClientCert", "client", True),
        ("RequireAndVerifyClientCert", "intruder", False),
    ],
)
def test_certificates_of_clients(place: Place, how: str, client: str, *, gets_in: bool) -> None:
    if how == "NoClientCert":
        place.configure(f"client_auth_type: {how}")
    else:
        place.verify(how)
    with place.serving() as address:
        assert place.asks(address, client) is gets_in
        # And the next one is none the worse for it.
        assert place.asks(address, "client")


@pytest.mark.parametrize(
    ("allowed", "gets_in"),
    [
        ("prometheus.example", True),
        ("'2001:DB8:0::1'", True),
        ("a@example.com", True),
        ("other.example, prometheus.example", True),
        ("other.example", False),
        ("client", False),
    ],
)
def test_names_in_certificates(place: Place, allowed: str, *, gets_in: bool) -> None:
    place.verify("RequireAndVerifyClientCert", f"client_allowed_sans: [{allowed}]")
    with place.serving() as address:
        assert place.asks(address, "client") is gets_in
        assert not place.asks(address, "nameless")


def test_a_certificate_that_is_required_is_as_good_as_a_password(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.verify("RequireAndVerifyClientCert")
    path = str(place.folder / "web.yml")
    config = load("", {"web.config_file": path, "web.listen_address": ":0"})
    guard = guarded(config)
    assert guard.asks
    server = WebServer(config, make_app(FakePages(), config), guard)
    server.bind()
    server.stop()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_versions_and_ciphers(place: Place) -> None:
    place.configure("min_version: TLS13")
    with place.serving() as address, pytest.raises(ssl.SSLError):
        place.connect(address, most=ssl.TLSVersion.TLSv1_2)
    place.configure(
        "max_version: TLS12", "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"
    )
    with place.serving() as address, place.connect(address) as sock:
        cipher = sock.cipher()
        assert sock.version() == "TLSv1.2"
        assert cipher is not None
        assert cipher[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"


def _serial(place: Place, address: tuple[str, int]) -> object:
    with place.connect(address) as sock:
        certificate = sock.getpeercert()
        assert certificate is not None
        return certificate["serialNumber"]


def test_a_new_certificate_holds_for_the_next_connection(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with place.serving() as address:
        before = _serial(place, address)
        os.replace(place.folder / "other.pem", place.folder / "server.pem")
        # The certificate alone does not fit the key: the old pair holds, and it is said.
        assert _serial(place, address) == before
        assert any("KEY_VALUES_MISMATCH" in message for message in caplog.messages)
        os.replace(place.folder / "other.key", place.folder / "server.key")
        assert _serial(place, address) != before


def test_an_encrypted_key_is_an_error_and_no_question(place: Place) -> None:
    key = place.folder / "server.key"
    made = key.with_name("encrypted.key")
    words = ("openssl", "pkcs8", "-topk8", "-in", key, "-out", made, "-passout", "pass:x")
    subprocess.run(words, check=True, capture_output=True)
    os.replace(made, key)
    assert "ENCRYPTED" in key.read_text()
    with pytest.raises(ConfigError, match="cert_file, key_file"), place.serving():
        pass
