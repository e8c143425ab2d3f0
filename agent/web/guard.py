"""Who may ask the web server: TLS and passwords of the web configuration, kept up to date."""

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
    from agent.web.app import Headers, StartResponse
    from agent.web.tls import Gate
    from agent.web.webconfig import WebFiles

log = logging.getLogger(__name__)

Application = Callable[[Mapping[str, Any], "StartResponse"], Iterable[bytes]]

_REMEMBERED = 100
"""Passwords whose outcome is remembered: as many right ones, and as many wrong ones."""

_WAITING = 2
"""Requests that may wait while a password is hashed, which is slow by intent; more get 429."""

_PASSWORD_LIMIT = 72
"""Bytes of a password that bcrypt looks at."""

_NOBODYS_HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
"""What the password of an unknown user is held against, so that it takes as long: the hash of
"fakepassword" that exporter-toolkit has, too."""


class _Rules:
    """What holds at one moment. Raises ``ConfigError`` when the certificates cannot be used."""

    def __init__(self, files: WebFiles) -> None:
        self.users = dict(files.users)
        self.headers = tuple(files.headers.items())
        self.replaced = frozenset(name.lower() for name in files.headers)
        self.gate: Gate | None = None
        try:
            if files.users:
                # Now, and not with the first password: it may be out of reach by then.
                import bcrypt  # noqa: F401, PLC0415 - there is none without the extra
            if files.tls is not None:
                from agent.web.tls import Gate  # noqa: PLC0415 - brings OpenSSL

                self.gate = Gate(files.tls, files.path)
        except ImportError as error:
            raise ConfigError([f"{files.path}: takes a start of the agent: {error}"]) from error


def check(config: Config) -> None:
    """Read the web configuration and try its certificates. Raises ``ConfigError``."""
    _Rules(read_files(config.web.config_file))


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
        """The door to come through now; None where TLS is not spoken."""
        self._refresh()
        return self._rules.gate

    @property
    def is_encrypted(self) -> bool:
        """TLS is spoken."""
        return self._rules.gate is not None

    @property
    def asks(self) -> bool:
        """A password or a certificate is asked for."""
        gate = self._rules.gate
        return bool(self._rules.users) or (gate is not None and gate.verifies)

    def prepare(self) -> Callable[[], None]:
        """Read everything again; gives what puts it in force. Raises ``ConfigError``."""
        seen = self._file_stamps()
        files = self._read()
        rules = _Rules(files)

        def install() -> None:
            self._rules, self._files = rules, files.read
            # What was there before the reading; of files that are new, as they are now.
            self._seen = seen if len(seen) == len(files.read) else self._file_stamps()

        return install

    def protect(self, application: Application) -> Application:
        """Return the application behind this guard."""

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
        """Read the files again where one has changed; a wrong one changes nothing but the log."""
        seen = self._file_stamps()
        if seen == self._seen or not self._turn.acquire(blocking=False):
            return
        try:
            self._seen = seen
            self.prepare()()
            log.info("the web configuration has changed, and was read again")
        except ConfigError as error:
            for problem in error.problems:
                log.error("the web configuration stays as it was: %s", problem)  # noqa: TRY400
        finally:
            self._turn.release()


def _signature(path: str) -> object:
    try:
        status = os.stat(path)
    except OSError as error:
        # Not for us to see: then it is read again when somebody says so.
        return error.errno
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns


class Passwords:
    """Says whether a password is right, and remembers it: bcrypt takes a tenth of a second."""

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
        """Return status and headers of the refusal; None for whoever may come in."""
        given = _credentials(authorization)
        if given is not None:
            name, password = given
            hashed = users.get(name.decode("utf-8", "replace"))
            known = self._known(name, hashed, password)
            if known is None:
                if not self._queue.acquire(blocking=False):
                    return "429 Too Many Requests", (("Retry-After", "1"),)
                try:
                    with self._hashing:
                        # While this one waited, another may have brought the same.
                        known = self._known(name, hashed, password)
                        if known is None:
                            right = _is_right(password, hashed or _NOBODYS_HASH)
                            known = right and hashed is not None
                            self._remember(name, hashed, password, right=known)
                finally:
                    self._queue.release()
            if known:
                return None
        return "401 Unauthorized", (
            ("WWW-Authenticate", 'Basic realm="tallyman", charset="UTF-8"'),
        )

    def _known(self, name: bytes, hashed: str | None, password: bytes) -> bool | None:
        mark = self._mark(name, hashed, password)
        with self._changing:
            for marks, right in ((self._right, True), (self._wrong, False)):
                if mark in marks:
                    marks.move_to_end(mark)
                    return right
        return None

    def _remember(self, name: bytes, hashed: str | None, password: bytes, *, right: bool) -> None:
        # Two lists: whoever tries passwords does not drive out those that are right.
        marks = self._right if right else self._wrong
        with self._changing:
            marks[self._mark(name, hashed, password)] = None
            if len(marks) > _REMEMBERED:
                marks.popitem(last=False)

    def _mark(self, name: bytes, hashed: str | None, password: bytes) -> bytes:
        """Return what stands for them in memory; with another hash it is another."""
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
    import bcrypt  # noqa: PLC0415 - there is none without the extra

    try:
        return bcrypt.checkpw(password[:_PASSWORD_LIMIT], hashed.encode())
    except ValueError:
        return False  # a zero byte in it
