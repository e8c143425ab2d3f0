"""Access to the web server: TLS and passwords of the web configuration, kept up to date."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from agent.config.keys import ConfigError
from agent.web.app import plain
from agent.web.webconfig import read_files

if TYPE_CHECKING:
    from agent.config import Config
    from agent.web.answers import Headers, StartResponse
    from agent.web.tls import Gate
    from agent.web.webconfig import WebFiles

log = logging.getLogger(__name__)

Application = Callable[[Mapping[str, Any], "StartResponse"], Iterable[bytes]]

_REMEMBERED = 100
"""Most right passwords, and most wrong ones, whose result is remembered."""

_WAITING = 2
"""Requests that may wait while a password is hashed, which is slow by design; more get 429."""

_PASSWORD_LIMIT = 72
"""Bytes of a password that bcrypt uses; it ignores the rest."""

_DUMMY_HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
"""Compared with the password of an unknown user, so that the answer takes as long. The hash of
"fakepassword" in exporter-toolkit."""


class _Rules:
    """The rules in force. Raises ``ConfigError`` when the certificates cannot be used."""

    def __init__(self, files: WebFiles) -> None:
        self.users = dict(files.users)
        self.headers = tuple(files.headers.items())
        self.replaced = frozenset(name.lower() for name in files.headers)
        self.gate: Gate | None = None
        try:
            if files.users:
                # Imported now: without its privileges, serve may not be able to read it.
                import bcrypt  # noqa: F401, PLC0415 - from the extra "web"
            if files.tls is not None:
                from agent.web.tls import Gate  # noqa: PLC0415 - brings OpenSSL

                self.gate = Gate(files.tls, files.path)
        except ImportError as error:
            raise ConfigError(
                [f"{files.path}: takes effect after a restart of the agent: {error}"]
            ) from error


def check(config: Config) -> tuple[str, ...]:
    """Read the web configuration and try its certificates; return the warnings about its files.

    Raises ``ConfigError``.
    """
    files = read_files(config.web.config_file)
    _Rules(files)
    return files.warnings


class Guard:
    """Stands before the application; reads the web configuration again when its files change."""

    def __init__(self, read: Callable[[], WebFiles], files: WebFiles) -> None:
        """Start with ``files``; ``read`` reads them again. Both may raise ``ConfigError``."""
        self._read = read
        self._rules = _Rules(files)
        self._files = files.read
        self._seen = self._file_stamps()
        self._turn = threading.Lock()
        self._passwords = Passwords()

    @property
    def gate(self) -> Gate | None:
        """TLS as configured now; None where it is not."""
        self._refresh()
        return self._rules.gate

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is configured."""
        return self._rules.gate is not None

    @property
    def asks(self) -> bool:
        """Whether clients need a password or a certificate."""
        gate = self._rules.gate
        return bool(self._rules.users) or (gate is not None and gate.verifies)

    def prepare(self) -> Callable[[], None]:
        """Read everything again; return what puts it in force. Raises ``ConfigError``."""
        seen = self._file_stamps()
        files = self._read()
        rules = _Rules(files)

        def install() -> None:
            self._rules, self._files = rules, files.read
            # From before the reading, so that a later change is noticed; new files have only now.
            self._seen = seen if len(seen) == len(files.read) else self._file_stamps()

        return install

    def protect(self, application: Application) -> Application:
        """Return the application with this guard in front of it."""

        def guarded(environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            self._refresh()
            rules = self._rules

            def start(status: str, headers: Headers) -> object:
                kept = [item for item in headers if item[0].lower() not in rules.replaced]
                return start_response(status, [*kept, *rules.headers])

            if rules.users:
                refusal = self._passwords.refuse(environ.get("HTTP_AUTHORIZATION", ""), rules.users)
                if refusal is not None:
                    status, more = refusal
                    body = plain(start, status, headers=more)
                    return [] if environ["REQUEST_METHOD"] == "HEAD" else body
            return application(environ, start)

        return guarded

    def _file_stamps(self) -> tuple[object, ...]:
        return tuple(map(_signature, self._files))

    def _refresh(self) -> None:
        """Read the files again if one has changed; errors are logged and change nothing."""
        seen = self._file_stamps()
        if seen == self._seen or not self._turn.acquire(blocking=False):
            return
        try:
            self._seen = seen
            self.prepare()()
            log.info("the web configuration has changed and was reloaded")
        except ConfigError as error:
            for problem in error.problems:
                log.error("the web configuration was not changed: %s", problem)  # noqa: TRY400
        finally:
            self._turn.release()


def _signature(path: str) -> object:
    try:
        status = os.stat(path)
    except OSError as error:
        # serve may not be permitted to see it: then only a reload reads it again.
        return error.errno
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns


class Passwords:
    """Checks passwords, and remembers the results: bcrypt takes a tenth of a second."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._changing = threading.Lock()
        self._hashing = threading.Lock()
        self._queue = threading.BoundedSemaphore(_WAITING)

    def refuse(
        self, authorization: str, users: Mapping[str, str]
    ) -> tuple[str, tuple[tuple[str, str], ...]] | None:
        """Return status and headers of the refusal; None if access is granted."""
        given = _credentials(authorization)
        if given is not None:
            name, password = given
            hashed = users.get(name.decode("utf-8", "replace"))
            right = self._remembered(name, hashed, password)
            if right is None:
                if not self._queue.acquire(blocking=False):
                    return "429 Too Many Requests", (("Retry-After", "1"),)
                try:
                    with self._hashing:
                        # Another request may have checked the same while this one waited.
                        right = self._remembered(name, hashed, password)
                        if right is None:
                            matches = _is_right(password, hashed or _DUMMY_HASH)
                            right = matches and hashed is not None
                            self._remember(name, hashed, password, right=right)
                finally:
                    self._queue.release()
            if right:
                return None
        return "401 Unauthorized", (
            ("WWW-Authenticate", 'Basic realm="tallyman", charset="UTF-8"'),
        )

    def _remembered(self, name: bytes, hashed: str | None, password: bytes) -> bool | None:
        mark = self._mark(name, hashed, password)
        with self._changing:
            for marks, right in ((self._right, True), (self._wrong, False)):
                if mark in marks:
                    marks.move_to_end(mark)
                    return right
        return None

    def _remember(self, name: bytes, hashed: str | None, password: bytes, *, right: bool) -> None:
        # Two lists, so that wrong guesses do not push out the right passwords.
        marks = self._right if right else self._wrong
        with self._changing:
            marks[self._mark(name, hashed, password)] = None
            if len(marks) > _REMEMBERED:
                marks.popitem(last=False)

    def _mark(self, name: bytes, hashed: str | None, password: bytes) -> bytes:
        """Return a keyed digest to remember them by; a changed hash gives another one."""
        digest = hashlib.blake2b(key=self._key, digest_size=32)
        for part in (name, (hashed or "").encode(), password):
            digest.update(len(part).to_bytes(4, "big") + part)
        return digest.digest()


def _credentials(authorization: str) -> tuple[bytes, bytes] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except ValueError:
        return None
    return (name, password) if colon else None


def _is_right(password: bytes, hashed: str) -> bool:
    import bcrypt  # noqa: PLC0415 - from the extra "web"

    try:
        return bcrypt.checkpw(password[:_PASSWORD_LIMIT], hashed.encode())
    except ValueError:
        return False  # it contains a zero byte
