"""TLS of the web configuration: the context, the handshake, the certificates of clients.

Only imported where TLS is configured.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

from agent.config.keys import ConfigError
from agent.memory_file import memory_file
from agent.web.webconfig import IF_GIVEN, REQUIRED

if TYPE_CHECKING:
    from agent.web.webconfig import Tls

_HANDSHAKE = 0x16
"""First byte of a TLS connection, RFC 8446 section 5.1."""


class RefusedError(Exception):
    """The client is refused; ``plain`` says that it does not speak TLS at all."""

    def __init__(self, why: str, *, plain: bool = False) -> None:
        super().__init__(why)
        self.plain = plain


class Gate:
    """TLS by one configuration. Raises ``ConfigError`` when certificates or key are unusable."""

    def __init__(self, tls: Tls, path: str) -> None:
        self._allowed = {_canonical(name) for name in tls.allowed_sans}
        self.verifies = tls.client_auth == REQUIRED
        """Whether every client needs a certificate."""
        self._context = context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _version(tls.min_version)
        context.maximum_version = _version(tls.max_version)
        context.options |= ssl.OP_NO_RENEGOTIATION
        if not tls.prefer_own_ciphers:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(["http/1.1"])
        part = "cipher_suites"
        try:
            if tls.ciphers:
                context.set_ciphers(":".join(tls.ciphers))
            part = "cert_file, key_file"
            _load(context, tls)
            part = "client_ca_file"
            if tls.client_auth in (REQUIRED, IF_GIVEN):
                needed = tls.client_auth == REQUIRED
                context.verify_mode = ssl.CERT_REQUIRED if needed else ssl.CERT_OPTIONAL
                if tls.client_ca:
                    context.load_verify_locations(cadata=tls.client_ca.decode("ascii", "replace"))
                else:
                    context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        except (ssl.SSLError, ValueError) as error:
            why = getattr(error, "reason", None) or str(error)
            raise ConfigError([f"{path}: tls_server_config: {part}: {why}"]) from error

    def wrap(self, sock: socket.socket) -> ssl.SSLSocket:
        """Return the client's socket as a TLS socket; its first byte should have come.

        Raises ``RefusedError`` if the client does not speak TLS; its socket is unchanged then.
        """
        first = sock.recv(1, socket.MSG_PEEK)
        if first and first[0] != _HANDSHAKE:
            raise RefusedError("no TLS", plain=True)
        return self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def admit(self, secured: ssl.SSLSocket) -> None:
        """Do the handshake and check the certificate. Raises ``RefusedError``."""
        try:
            secured.do_handshake()
        except (OSError, ValueError) as error:  # ValueError: the connection ended meanwhile
            raise RefusedError(str(error)) from error
        if self._allowed and not self._allowed & _names(secured):
            raise RefusedError("its certificate has none of client_allowed_sans")


def _load(context: ssl.SSLContext, tls: Tls) -> None:
    """Load certificate and key from an anonymous file: OpenSSL takes them from files only."""
    descriptor = memory_file("tallyman-key")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            stream.write(tls.key.rstrip() + b"\n" + tls.certificate)
        # With an empty password, OpenSSL does not ask on the terminal for that of an encrypted key.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    finally:
        os.close(descriptor)


def _version(name: str) -> ssl.TLSVersion:
    return ssl.TLSVersion.TLSv1_3 if name == "TLS13" else ssl.TLSVersion.TLSv1_2


def _names(secured: ssl.SSLSocket) -> set[str]:
    certificate = secured.getpeercert() or {}
    names: Any = certificate.get("subjectAltName", ())  # pairs: DNS, email, IP Address or URI
    return {_canonical(str(value)) for _, value in names}


def _canonical(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
