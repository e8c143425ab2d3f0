"""Prometheus's web configuration file, the format of its exporter-toolkit.

It is read by the process that has the privileges to read keys, and passed as a whole to the one
that talks to the network. What ``promtool check web-config`` accepts and is not supported here is
an error, never ignored.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agent.config.keys import ConfigError, Reader
from agent.config.trust import TrustedFile, UntrustedFileError, read_trusted
from agent.sanitize import printable

Value = TypeVar("Value")

_VERSIONS = ("TLS12", "TLS13")

CIPHERS = {  # Go's names, and OpenSSL's
    f"TLS_ECDHE_{key}_WITH_{name}": f"ECDHE-{key}-{openssl}"
    for key in ("ECDSA", "RSA")
    for name, openssl in (
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
    )
}
_CIPHERS_13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""Accepted without effect: the suites of TLS 1.3 cannot be chosen, in Go neither."""

NO_CERTIFICATE, IF_GIVEN, REQUIRED = (
    "NoClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
)

_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The headers that can be set, with their permitted values where those are limited."""

_LACKING = {
    "tls_server_config": ("curve_preferences",),
    "http_server_config": (),
    "": ("rate_limit",),
}
"""Keys of the format that are not supported here."""

_BCRYPT = re.compile(r"\$2[abxy]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The section ``tls_server_config``; certificates and keys are PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes = b""
    client_auth: str = NO_CERTIFICATE
    allowed_sans: tuple[str, ...] = ()
    """A client's certificate must have one of these names; empty: any valid certificate."""
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    ciphers: tuple[str, ...] = ()
    """OpenSSL's names, for TLS 1.2; empty: its default."""
    prefer_own_ciphers: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFiles:
    """The content of the file, and of those that it names."""

    path: str = ""
    tls: Tls | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Password hashes (bcrypt) by user; empty: no password is asked for."""
    headers: Mapping[str, str] = field(default_factory=dict)
    read: tuple[str, ...] = ()
    """The files that were read."""
    warnings: tuple[str, ...] = ()
    """Who else may change them, or read a secret in them; each names the file."""


def read_files(path: str) -> WebFiles:
    """Read the file and those it names; none if ``path`` is empty. Raises ``ConfigError``."""
    if not path:
        return WebFiles()
    file = _file(path)
    document = _document(file)
    if not isinstance(document, Mapping):
        raise ConfigError([f"{path}: must be a mapping, with lines such as basic_auth_users: …"])
    reader = _WebReader(file)
    top = reader.entries(document, "", ("tls_server_config", "http_server_config", _USERS))
    tls = _tls(top["tls_server_config"], reader) if "tls_server_config" in top else None
    headers = _headers(top.get("http_server_config", {}), reader)
    users = _users(top.get(_USERS, {}), reader)
    if reader.problems:
        raise ConfigError(reader.problems)
    return WebFiles(
        path=path,
        tls=tls,
        users=users,
        headers=headers,
        read=tuple(reader.read),
        warnings=tuple(dict.fromkeys((*reader.warnings, *_exposed(file, top)))),
    )


def _exposed(file: TrustedFile, top: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a warning if every user may read the secrets that the file itself holds."""
    tls = top.get("tls_server_config")
    secrets = []
    if isinstance(tls, Mapping) and tls.get("key"):
        secrets.append("the key")
    if top.get(_USERS):
        secrets.append("the password hashes")
    return file.exposure(" and ".join(secrets) + " in it") if secrets else ()


_USERS = "basic_auth_users"


class _WebReader(Reader):
    def __init__(self, file: TrustedFile) -> None:
        super().__init__(file.path)
        self._directory = os.path.dirname(file.path)
        self.read = [file.path]
        self.warnings = [*file.warnings]

    def entries(self, value: object, where: str, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the entries of a mapping without empty ones; other names are problems."""
        if isinstance(value, Mapping):
            lacking = _LACKING.get(where, ())
            for name in lacking:
                if name in value:
                    self.problem(_path(where, name), "is not supported here; leave it out")
            value = {str(k): v for k, v in value.items() if k not in lacking and v is not None}
        return self.table(value, where, names)

    def take(self, table: Mapping[str, Any], where: str, name: str, kind: type[Value]) -> Any:
        """Return a value of that type; None if there is none or it has another type."""
        value = table.get(name)
        if value is None or (isinstance(value, kind) and type(value) is kind):
            return value
        words = {str: "text", bool: "true or false", list: "a list"}
        self.problem(_path(where, name), f"must be {words[kind]}")
        return None

    def content(self, table: Mapping[str, Any], where: str, name: str) -> bytes:
        """Return the value of ``name``, or the content of the file that ``name``_file names."""
        inline = self.take(table, where, name, str)
        path = self.take(table, where, f"{name}_file", str)
        if inline:
            if path:
                self.problem(
                    _path(where, name), f"{name}_file is set as well; set only one of them"
                )
            return str(inline).encode()
        if not path:
            return b""
        path = os.path.join(self._directory, path)  # relative to the file
        self.read.append(path)
        try:
            file = read_trusted(path)
        except OSError as error:
            self.problem(_path(where, f"{name}_file"), f"{printable(path)}: {error.strerror}")
            return b""
        except UntrustedFileError as error:
            self.problem(_path(where, f"{name}_file"), str(error))
            return b""
        self.warnings += file.warnings
        if name == "key":
            self.warnings += file.exposure("this key")
        return file.content


def _file(path: str) -> TrustedFile:
    try:
        return read_trusted(path)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}; see --web.config.file"]) from error
    except UntrustedFileError as error:
        raise ConfigError([str(error)]) from error


def _document(file: TrustedFile) -> object:
    path = file.path
    try:
        import yaml  # noqa: PLC0415 - from the extra "web"
    except ImportError as error:
        raise ConfigError([_without("PyYAML", path)]) from error

    class Loader(yaml.SafeLoader):
        """A duplicate key is an error, as in Go."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            names = [key.value for key, _ in node.value]
            duplicate = next((name for name in names if names.count(name) > 1), None)
            if duplicate is not None:
                raise ConfigError([f"{path}: {printable(str(duplicate))}: is there twice"])
            return super().construct_mapping(node, deep)

    try:
        # It is a SafeLoader.
        document = yaml.load(file.content, Loader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            [f"{path}: not YAML: {printable(' '.join(str(error).split()))}"]
        ) from error
    return {} if document is None else document


def _without(package: str, path: str) -> str:
    return f"{path}: needs {package}, which is not installed: pip install 'tallyman-agent[web]'"


def _tls(section: object, reader: _WebReader) -> Tls | None:
    where = "tls_server_config"
    names = (
        *("cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file"),
        *("client_auth_type", "client_allowed_sans", "min_version", "max_version"),
        *("cipher_suites", "prefer_server_cipher_suites"),
    )
    table = reader.entries(section, where, names)
    if not any(value not in ("", []) for value in table.values()):
        return None
    problems = len(reader.problems)
    certificate, key = (reader.content(table, where, name) for name in ("cert", "key"))
    if len(reader.problems) == problems:
        for name, content in (("cert", certificate), ("key", key)):
            if not content:
                reader.problem(where, f"TLS needs a {name}_file")
    auth = _auth(table, reader)
    sans = tuple(map(str, reader.take(table, where, "client_allowed_sans", list) or ()))
    if sans and auth != REQUIRED:
        reader.problem(f"{where}.client_allowed_sans", f"needs client_auth_type: {REQUIRED}")
    client_ca = reader.content(table, where, "client_ca")
    if client_ca and auth == NO_CERTIFICATE:
        reader.problem(f"{where}.client_ca_file", f"needs client_auth_type: {REQUIRED}")
    least, most = (
        _choice(table, where, name, _VERSIONS, reader) for name in ("min_version", "max_version")
    )
    if (least, most) == ("TLS13", "TLS12"):
        reader.problem(f"{where}.max_version", "is below min_version")
    own = reader.take(table, where, "prefer_server_cipher_suites", bool)
    return Tls(
        certificate=certificate,
        key=key,
        client_ca=client_ca,
        client_auth=auth,
        allowed_sans=sans,
        min_version=least or "TLS12",
        max_version=most or "TLS13",
        ciphers=_ciphers(table, where, reader),
        prefer_own_ciphers=own is not False,
    )


def _auth(table: Mapping[str, Any], reader: _WebReader) -> str:
    where, name = "tls_server_config", "client_auth_type"
    if table.get(name) in ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert"):
        reader.problem(
            f"{where}.{name}",
            f"{table[name]} accepts certificates without verifying them, which is not supported "
            f"here; use {REQUIRED} or {IF_GIVEN}",
        )
        return NO_CERTIFICATE
    choices = (NO_CERTIFICATE, IF_GIVEN, REQUIRED)
    return _choice(table, where, name, choices, reader) or NO_CERTIFICATE


def _ciphers(table: Mapping[str, Any], where: str, reader: _WebReader) -> tuple[str, ...]:
    names = reader.take(table, where, "cipher_suites", list) or ()
    choices = (*CIPHERS, *_CIPHERS_13)
    checked = [
        _choice({"cipher_suites": name}, where, "cipher_suites", choices, reader) for name in names
    ]
    return tuple(CIPHERS[name] for name in checked if name in CIPHERS)


def _choice(
    table: Mapping[str, Any], where: str, name: str, choices: tuple[str, ...], reader: _WebReader
) -> str:
    value = table.get(name)
    if value is None or value == "":
        return ""
    if value not in choices:
        shown = printable(str(value), 60)
        reader.problem(_path(where, name), f"must be {' or '.join(choices)}, not {shown}")
        return ""
    return str(value)


def _headers(section: object, reader: _WebReader) -> dict[str, str]:
    where = "http_server_config"
    table = reader.entries(section, where, ("http2", "headers"))
    if reader.take(table, where, "http2", bool):
        reader.problem(
            f"{where}.http2", "HTTP/2 is not supported here; leave it out, or set it to false"
        )
    where = f"{where}.headers"
    given = reader.entries(table.get("headers", {}), where, tuple(_HEADERS))
    headers = {}
    for name in given:
        value = reader.take(given, where, name, str)
        if not value:
            continue
        if not value.isprintable() or not value.isascii():
            reader.problem(f"{where}.{name}", "must be one line of printable ASCII")
        elif _HEADERS[name]:
            headers[name] = _choice(given, where, name, _HEADERS[name], reader)
        else:
            headers[name] = value
    return headers


def _users(section: object, reader: _WebReader) -> dict[str, str]:
    if not isinstance(section, Mapping):
        reader.problem(_USERS, "must have a line for each user: name: hash")
        return {}
    for number, (name, hashed) in enumerate(section.items(), 1):
        # Neither name nor value is shown: either may be a password in the wrong place.
        if not isinstance(name, str) or not name or ":" in name:
            reader.problem(f"{_USERS}, user {number}", "must have a name without a colon")
        if not isinstance(hashed, str) or not _BCRYPT.fullmatch(hashed):
            reader.problem(
                f"{_USERS}, user {number}",
                "must have a password hash of bcrypt ($2y$10$…), as by: htpasswd -nBC 10 NAME",
            )
    if section and importlib.util.find_spec("bcrypt") is None:
        raise ConfigError([_without("bcrypt", reader.read[0])])
    return {str(name): str(hashed) for name, hashed in section.items()}


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
