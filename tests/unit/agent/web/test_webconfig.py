from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config import ConfigError
from agent.web.webconfig import WebFiles, read_files

if TYPE_CHECKING:
    from collections.abc import Mapping

HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
TLS = "tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\n"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    (tmp_path / "c.pem").write_text("certificate")
    (tmp_path / "k.pem").write_text("key")
    (tmp_path / "k.pem").chmod(0o600)
    return tmp_path / "web.yml"


def problems(path: Path, text: str) -> tuple[str, ...]:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_files(str(path))
    return tuple(problem.removeprefix(f"{path}: ") for problem in caught.value.problems)


def test_everything(written: Path) -> None:
    written.write_text(
        TLS + "  client_ca: inline\n  client_auth_type: RequireAndVerifyClientCert\n"
        "  client_allowed_sans: [a, b]\n  min_version: TLS13\n  max_version: TLS13\n"
        "  cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n"
        "  prefer_server_cipher_suites: false\n"
        "http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: sameorigin\n"
        "    Strict-Transport-Security: max-age=1\n    Content-Security-Policy:\n"
        f"basic_auth_users:\n  alice: {HASH}\n"
    )
    files = read_files(str(written))
    assert files.users == {"alice": HASH}
    assert files.headers == {
        "X-Frame-Options": "sameorigin",
        "Strict-Transport-Security": "max-age=1",
    }
    assert files.read == (
        str(written),
        str(written.parent / "c.pem"),
        str(written.parent / "k.pem"),
    )
    tls = files.tls
    assert tls is not None
    assert (tls.certificate, tls.key, tls.client_ca) == (b"certificate", b"key", b"inline")
    assert (tls.allowed_sans, tls.min_version) == (("a", "b"), "TLS13")
    assert tls.ciphers == ("ECDHE-RSA-AES256-GCM-SHA384",)
    assert not tls.prefer_own_ciphers
    assert pickle.loads(pickle.dumps(files)) == files


@pytest.mark.parametrize("text", ["", "{}", "tls_server_config:\n", "basic_auth_users: {}"])
def test_nothing_is_asked_for(written: Path, text: str) -> None:
    written.write_text(text)
    assert read_files(str(written)) == WebFiles(path=str(written), read=(str(written),))


def test_no_file() -> None:
    assert read_files("") == WebFiles()


def test_neither_keys_nor_hashes_are_shown(written: Path) -> None:
    written.write_text(TLS + f"basic_auth_users: {{alice: {HASH}}}")
    shown = repr(read_files(str(written)))
    assert HASH not in shown
    assert "key=" not in shown


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "not YAML: while parsing"),
        ("- a", "must be a mapping"),
        ("basic_auth_user: {}", 'basic_auth_user: unknown key; did you mean "basic_auth_users"?'),
        ("rate_limit: {}", "rate_limit: is not supported here; leave it out"),
        ("tls_server_config: 1", "tls_server_config: must be a table"),
        ("tls_server_config:\n  cert_file: c.pem", "tls_server_config: TLS needs a key_file"),
        (TLS + "  cert_file: c.pem", "cert_file: is there twice"),
        (
            TLS + "  cert: x",
            "tls_server_config.cert: cert_file is set as well; set only one of them",
        ),
        (TLS + "  curve_preferences: []", "tls_server_config.curve_preferences: is not supported"),
        (TLS + "  certfile: x", 'tls_server_config.certfile: unknown key; did you mean "cert_file'),
        (TLS + "  min_version: TLS10", "tls_server_config.min_version: must be TLS12 or TLS13"),
        (TLS + "  min_version: TLS13\n  max_version: TLS12", "tls_server_config.max_version: is b"),
        (TLS + "  cipher_suites: [X]", "tls_server_config.cipher_suites: must be TLS_ECDHE_ECDSA"),
        (TLS + "  cipher_suites: X", "tls_server_config.cipher_suites: must be a list"),
        (TLS + "  client_ca: x", "tls_server_config.client_ca_file: needs client_auth_type: Req"),
        (TLS + "  client_allowed_sans: [x]", "tls_server_config.client_allowed_sans: needs clien"),
        (TLS + "  client_auth_type: RequestClientCert", "tls_server_config.client_auth_type: Requ"),
        (TLS + "  client_auth_type: Maybe", "tls_server_config.client_auth_type: must be NoClient"),
        (TLS.replace("c.pem", "x.pem"), "tls_server_config.cert_file: /"),
        ("http_server_config: {http2: true}", "http_server_config.http2: HTTP/2 is not supported"),
        ("http_server_config: {headers: {Server: x}}", "http_server_config.headers.Server: unkn"),
        (
            "http_server_config: {headers: {X-Frame-Options: no}}",
            "http_server_config.headers.X-Frame-Options: must be text",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}",
            "http_server_config.headers.X-Frame-Options: must be deny or sameorigin, not allow",
        ),
        (
            'http_server_config: {headers: {X-XSS-Protection: "1\\r\\nSet-Cookie: x"}}',
            "http_server_config.headers.X-XSS-Protection: must be one line of printable ASCII",
        ),
        ("basic_auth_users: [a]", "basic_auth_users: must have a line for each user"),
        (
            "basic_auth_users: {a: secret}",
            "basic_auth_users, user 1: must have a password hash of bcrypt",
        ),
        (f"basic_auth_users: {{'a:b': {HASH}}}", "basic_auth_users, user 1: must have a name"),
        (f"basic_auth_users: {{1: {HASH}}}", "basic_auth_users, user 1: must have a name"),
    ],
)
def test_what_is_wrong_is_said(written: Path, text: str, problem: str) -> None:
    found = problems(written, text)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_everything_wrong_is_said_at_once(written: Path) -> None:
    text = "x: 1\nhttp_server_config: {http2: true}\nbasic_auth_users: {a: b, c: d}\n"
    assert len(problems(written, text)) == 4


def test_a_password_that_is_not_hashed_is_not_repeated(written: Path) -> None:
    assert not [p for p in problems(written, "basic_auth_users: {a: secret}") if "secret" in p]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No such file or directory; see --web\.config\.file"):
        read_files(str(tmp_path / "x"))


@pytest.mark.parametrize(("module", "package"), [("yaml", "PyYAML"), ("bcrypt", "bcrypt")])
def test_what_is_not_installed_is_said(
    written: Path, monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    if module == "yaml":
        monkeypatch.setitem(sys.modules, module, None)
    else:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    (found,) = problems(written, f"basic_auth_users: {{a: {HASH}}}")
    assert found.startswith(f"needs {package}, which is not installed")
    assert "pip install 'tallyman-agent[web]'" in found


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("cert_file", "client_auth_type", "headers", "http2", "cipher_suites"))
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
sections = st.sampled_from(("tls_server_config", "http_server_config", "basic_auth_users"))


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.dictionaries(sections, values))
def test_any_document_is_a_configuration_or_an_error(
    written: Path, document: Mapping[str, object]
) -> None:
    written.write_text(yaml.safe_dump(document))
    try:
        found: tuple[str, ...] = read_files(str(written)).read
    except ConfigError as error:
        found = error.problems
    assert found
    assert all("\n" not in text for text in found)


ALL_FILES = TLS + "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"


@pytest.mark.parametrize("name", ["c.pem", "k.pem", "ca.pem"])
@pytest.mark.parametrize("mode", [0o666, 0o620])
def test_a_file_that_others_may_write_is_refused(written: Path, name: str, mode: int) -> None:
    (written.parent / "ca.pem").write_text("authority")
    (written.parent / name).chmod(mode)
    (found,) = problems(written, ALL_FILES)
    assert f"{written.parent / name}: is not used, as " in found
    assert f"(mode 0{mode:o})" in found


@pytest.mark.parametrize("mode", [0o646, 0o660])
def test_the_web_configuration_is_refused_when_others_may_write_it(
    written: Path, mode: int
) -> None:
    written.touch()
    written.chmod(mode)
    (found,) = problems(written, TLS)
    assert "may write it" in found


def test_files_that_are_as_they_should_be_cause_no_warning(written: Path) -> None:
    (written.parent / "ca.pem").write_text("authority")
    written.write_text(ALL_FILES)
    assert read_files(str(written)).warnings == ()


def test_a_key_that_every_user_may_read(written: Path) -> None:
    key = written.parent / "k.pem"
    key.chmod(0o644)
    written.write_text(TLS)
    assert read_files(str(written)).warnings == (
        f"{key}: every user may read this key (mode 0644): chmod o-r {key}",
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"basic_auth_users:\n  alice: {HASH}\n", "the password hashes"),
        ("tls_server_config:\n  cert: c\n  key: k\n", "the key"),
    ],
)
def test_secrets_in_the_file_that_every_user_may_read(written: Path, text: str, what: str) -> None:
    written.write_text(text)
    written.chmod(0o644)
    assert read_files(str(written)).warnings == (
        f"{written}: every user may read {what} in it (mode 0644): chmod o-r {written}",
    )
    written.chmod(0o640)
    assert read_files(str(written)).warnings == ()
