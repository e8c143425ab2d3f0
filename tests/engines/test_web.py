"""The web configuration with the real clients: promtool, curl, Prometheus."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import bcrypt
import pytest

from tests.engines.harness.agent import TALLYMAN, free_port
from tests.engines.harness.need import need
from tests.engines.harness.programs import CommandError, Daemon, run, wait_until, workplace
from tests.engines.harness.prometheus import prometheus
from tests.support.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

CONFIGURATION = """
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_ca_file: ca.pem
  client_auth_type: {auth}
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: true
http_server_config:
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Frame-Options: deny
basic_auth_users:
  prometheus: {hash}
"""


class Place:
    """A folder that only root can read, with a web configuration and certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority = Authority(folder)
        authority.sign("server", "DNS:localhost", "IP:127.0.0.1")
        authority.sign("client", "DNS:prometheus")
        self.file = folder / "web.yml"
        self.write("VerifyClientCertIfGiven")
        for path in folder.iterdir():
            path.chmod(0o600)

    def write(self, auth: str, password: str = "secret") -> None:
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()
        self.file.write_text(CONFIGURATION.format(auth=auth, hash=hashed))

    def curl(self, port: int, *words: str, path: str = "/-/healthy") -> tuple[int, str]:
        """Return curl's exit status, and the status that the server answered with."""
        done = subprocess.run(
            [
                *("curl", "--silent", "--max-time", "30", "--output", "/dev/null"),
                *("--write-out", "%{http_code}", "--cacert", str(self.folder / "ca.pem")),
                *(*words, f"https://localhost:{port}{path}"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    @property
    def certificate(self) -> tuple[str, ...]:
        return ("--cert", f"{self.folder}/client.pem", "--key", f"{self.folder}/client.key")


@pytest.fixture
def place() -> Iterator[Place]:
    need("openssl", "curl", "promtool")
    with workplace("web") as folder:
        yield Place(folder)


@pytest.fixture
def port(place: Place) -> Iterator[int]:
    """Return the port of an agent that has this configuration."""
    number = free_port()
    address = f"--web.listen-address=127.0.0.1:{number}"
    daemon = Daemon(
        *(TALLYMAN, "serve", address, f"--web.config.file={place.file}"),
        log=place.folder / "log",
    )
    try:
        alice = ("--user", "prometheus:secret")
        daemon.wait_for(lambda: place.curl(number, *alice) == (0, "200"), "the agent to listen", 60)
        yield number
    finally:
        daemon.stop()


def test_promtool_takes_the_same_file(place: Place) -> None:
    run("promtool", "check", "web-config", place.file)
    # It also rejects what the agent rejects.
    with place.file.open("a") as stream:
        stream.write("basic_auth_user: {}\n")
    for command in (
        ("promtool", "check", "web-config", place.file),
        (TALLYMAN, "serve", "--web.listen-address=127.0.0.1:0", f"--web.config.file={place.file}"),
    ):
        with pytest.raises(CommandError, match="basic_auth_user"):
            run(*command)


def test_files_that_others_may_write_are_refused(place: Place) -> None:
    flags = ("--web.listen-address=127.0.0.1:0", f"--web.config.file={place.file}")
    for name in ("web.yml", "server.pem", "server.key", "ca.pem"):
        file = place.folder / name
        file.chmod(0o606)
        with pytest.raises(CommandError, match=f"{name}: is not used, as every user may write it"):
            run(TALLYMAN, "serve", *flags)
        file.chmod(0o600)


def test_files_that_others_may_read_are_named_in_the_log(place: Place, port: int) -> None:
    alice = ("--user", "prometheus:secret")
    (place.folder / "server.key").chmod(0o604)
    place.file.chmod(0o604)

    def named() -> bool:
        assert place.curl(port, *alice) == (0, "200")  # it looks at the files with each request
        log = (place.folder / "log").read_text()
        return (
            "server.key: every user may read this key" in log
            and "web.yml: every user may read the password hashes in it" in log
        )

    wait_until(named, "the warnings", 60)
    # One that others may write from now on changes nothing.
    place.file.chmod(0o606)
    place.write("VerifyClientCertIfGiven", "other")
    wait_until(
        lambda: (
            place.curl(port, *alice) == (0, "200")
            and "every user may write it" in (place.folder / "log").read_text()
        ),
        "the refusal",
        60,
    )


def test_curl_with_and_without_password_and_certificate(place: Place, port: int) -> None:
    right, wrong = ("--user", "prometheus:secret"), ("--user", "prometheus:wrong")
    assert place.curl(port) == (0, "401")
    assert place.curl(port, *wrong) == (0, "401")
    assert place.curl(port, *right) == (0, "200")
    assert place.curl(port, *right, *place.certificate) == (0, "200")
    assert place.curl(port, *right, "--tls-max", "1.2") == (0, "200")
    assert place.curl(port, *right, "--tls-max", "1.1", "--ciphers", "ALL")[0] != 0
    assert place.curl(port, *right, path="/metrics") == (0, "200")
    assert place.curl(port, *right, "--request", "POST", path="/-/reload") == (0, "403")
    assert place.curl(port, *right, "--http2") == (0, "200")

    # serve now runs as nobody, and only root may read these files: the launcher reads them.
    place.write("RequireAndVerifyClientCert", "other")
    other = ("--user", "prometheus:other")
    assert place.curl(port, *other)[0] != 0
    assert place.curl(port, *right, *place.certificate) == (0, "401")
    assert place.curl(port, *other, *place.certificate) == (0, "200")
    place.file.write_text("tls_server_config: {cert_file: nowhere.pem, key_file: nowhere.key}\n")
    assert place.curl(port, *other, *place.certificate) == (0, "200")
    assert "nowhere.pem: No such file or directory" in (place.folder / "log").read_text()


def test_prometheus_scrapes_over_tls_with_a_password(place: Place, port: int) -> None:
    need("prometheus")
    scrape = {
        "scheme": "https",
        "tls_config": {
            "ca_file": f"{place.folder}/ca.pem",
            "cert_file": f"{place.folder}/client.pem",
            "key_file": f"{place.folder}/client.key",
            "server_name": "localhost",
        },
        "basic_auth": {"username": "prometheus", "password": "secret"},
    }
    place.write("RequireAndVerifyClientCert")
    with prometheus(f"127.0.0.1:{port}", scrape=scrape) as server:
        server.wait_for('up{job="tallyman"} == 1', seconds=60)
        place.write("RequireAndVerifyClientCert", "another password")
        server.wait_for('up{job="tallyman"} == 0', seconds=60)
        place.write("RequireAndVerifyClientCert")
        server.wait_for('up{job="tallyman"} == 1', seconds=60)
