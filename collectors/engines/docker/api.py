"""Docker's Engine API, with a limit on everything that a daemon could send too much of.

Imported only when there is a daemon to talk to: the SDK takes memory and time to load.
"""

from __future__ import annotations

import re
import socket
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import docker.errors
import docker.transport.unixconn as unix_transport
import docker.utils
import requests
import urllib3
from docker.constants import MINIMUM_DOCKER_API_VERSION

from collectors.engines.docker.errors import ApiError, NotFound, Refused
from collectors.formats.documents import JsonObject, as_object, as_objects, parse_json
from collectors.hostfs import HostReadError

Dial = Callable[[socket.socket], None]
"""Connects a unix socket to a daemon. Raises OSError or HostReadError."""

ANSWER_LIMIT = 32 << 20
"""Largest answer that is read, in bytes: some 10,000 containers in a list."""

EVENT_LIMIT = 1 << 20

_ENDPOINT = "unix:///run/docker.sock"  # for the SDK only: the adapter below connects elsewhere
_VERSION = re.compile(r"[1-9]\d{0,3}\.\d{1,4}")

_WRAPPERS = (
    docker.errors.DockerException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
)
_BROKEN = (
    *_WRAPPERS,
    HostReadError,
    OSError,
    # Answers that are none of HTTP, or not as the SDK thinks they are.
    LookupError,
    TypeError,
    ValueError,
)


@dataclass(slots=True)
class Budget:
    """What one exchange may cost: a socket's own timeout does not limit the whole of it."""

    wait: float | None
    """Seconds of silence."""
    deadline: float | None = None
    """On the monotonic clock; a daemon may send a byte each second for ever."""
    bytes_left: int = ANSWER_LIMIT

    def renew(self, seconds: float | None, size: int = ANSWER_LIMIT) -> None:
        """Begin another exchange."""
        self.deadline = time.monotonic() + seconds if seconds is not None else None
        self.bytes_left = size

    def time_left(self) -> float | None:
        """Return the seconds that the next read may wait; raise TimeoutError when none are left."""
        if self.deadline is None:
            return self.wait
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        return left if self.wait is None else min(self.wait, left)

    def spend(self, size: int) -> None:
        """Count bytes that came. Raises OSError when they are too many."""
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise OSError("the answer is too large")


class _Socket(socket.socket):
    """A unix socket that keeps to a budget."""

    budget: Budget

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.budget.time_left())
        size = super().recv_into(*args, **kwargs)
        self.budget.spend(size)
        return size


class _Adapter(unix_transport.UnixHTTPAdapter):
    """The SDK's transport over unix sockets, but for how it connects."""

    def __init__(self, dial: Dial, budget: Budget) -> None:
        super().__init__(_ENDPOINT, pool_connections=1, max_pool_size=1)
        self._dial = dial
        self._budget = budget
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_aborted = False

    def get_connection(self, url: Any, proxies: Any = None) -> Any:  # noqa: ARG002 - the SDK's
        with self.pools.lock:
            pool = self.pools.get("")
            if pool is None:
                pool = _Pool(self)
                self.pools[""] = pool
            return pool

    def connect(self) -> socket.socket:
        connection = _Socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.budget = self._budget
        try:
            connection.settimeout(self._budget.wait)
            self._dial(connection)
        except (OSError, HostReadError):
            connection.close()
            raise
        self._sockets.add(connection)
        if self._is_aborted:
            connection.close()
            raise OSError("the conversation was aborted")
        return connection

    def abort(self) -> None:
        """End every exchange that waits for an answer, in any thread, and all later ones."""
        self._is_aborted = True
        for connection in list(self._sockets):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already


class _Pool(unix_transport.UnixHTTPConnectionPool):
    def __init__(self, adapter: _Adapter) -> None:
        super().__init__("http://localhost", "", maxsize=1)
        self._adapter = adapter

    def _new_conn(self) -> Any:
        return _Connection(self._adapter)


class _Connection(unix_transport.UnixHTTPConnection):
    def __init__(self, adapter: _Adapter) -> None:
        super().__init__("http://localhost", "")
        self._adapter = adapter

    def connect(self) -> None:
        self.sock = self._adapter.connect()


class _Session(docker.APIClient):
    """The SDK's client, but for how it takes answers in.

    Its own way guesses the character set of whatever it cannot parse, which takes minutes for some
    answers that an untrusted daemon could send.
    """

    def _result(self, response: Any, json: bool = False, binary: bool = False) -> Any:  # noqa: ARG002
        if response.status_code == requests.codes.not_found:
            raise NotFound("no such container or image")
        answer = parse_json(response.content)
        if response.status_code >= requests.codes.bad_request:
            message = as_object(answer).text("message")
            raise ApiError(f"HTTP {response.status_code} {message[:200]}".strip())
        if answer is None:
            raise ApiError("its answer is no JSON")
        return answer


@dataclass(frozen=True, slots=True)
class Server:
    """A daemon's answer to ``/info``."""

    name: str
    """The machine's."""
    data_root: str
    systemd_cgroups: bool


class Client:
    """A conversation with one daemon. Every method may raise ApiError.

    ``address`` is a unix socket, as the function that connects to it, or what DOCKER_HOST may say,
    with ``environment`` for DOCKER_TLS_VERIFY and DOCKER_CERT_PATH. ``wait`` is in seconds for each
    read, ``seconds`` for a whole answer, ``limit`` its largest size in bytes.
    """

    def __init__(
        self,
        address: Dial | str,
        *,
        wait: float,
        seconds: float,
        limit: int = ANSWER_LIMIT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._wait: Any = wait
        self._seconds = seconds
        self._limit = limit
        self._budget = Budget(wait)
        self._address = address if isinstance(address, str) else ""
        self._environment = dict(environment or {})
        self._adapter = None if isinstance(address, str) else _Adapter(address, self._budget)
        self._session = self._open(MINIMUM_DOCKER_API_VERSION)
        answer = self._ask("version", lambda: self._session.version(api_version=False))
        spoken = as_object(answer).text("ApiVersion")
        if not _VERSION.fullmatch(spoken):
            raise ApiError("it does not say which version of the API it speaks")
        names = [c.text("Name") for c in as_object(answer).objects("Components")]
        if "Podman Engine" in names:
            raise ApiError("it is podman, whose containers are found without its service")
        self._session = self._open(spoken)

    def _open(self, version: str) -> _Session:
        where: dict[str, Any] = {"base_url": _ENDPOINT}
        try:
            if self._address:
                environment = self._environment | {"DOCKER_HOST": self._address}
                where = {**docker.utils.kwargs_from_env(environment=environment)}
            session = _Session(**where, version=version)
        except (*_BROKEN, AttributeError) as error:
            # Most likely ~/.docker/config.json, which the SDK reads unasked.
            raise ApiError(f"the Docker SDK does not start: {error}") from error
        session.trust_env = False  # no proxies, no .netrc
        session.timeout = self._wait  # the SDK's own is a minute
        if self._adapter is not None:
            session.mount("http+docker://", self._adapter)
        return session

    def server(self) -> Server:
        """Ask what the daemon is and how it is configured: ``/info``."""
        info = as_object(self._ask("info", self._session.info))
        return Server(
            name=info.text("Name"),
            data_root=info.text("DockerRootDir"),
            systemd_cgroups=info.text("CgroupDriver") == "systemd",
        )

    def containers(self) -> list[JsonObject]:
        """List all containers, running or not."""
        return as_objects(self._ask("list", lambda: self._session.containers(all=True)))

    def container(self, engine_id: str) -> JsonObject:
        """Inspect a container; NotFound where it has gone since it was listed."""
        return as_object(self._ask("inspect", lambda: self._session.inspect_container(engine_id)))

    def image(self, image_id: str) -> JsonObject:
        """Inspect an image; NotFound where it was removed under its containers."""
        inspect: Callable[[str], object] = self._session.inspect_image
        return as_object(self._ask("image", lambda: inspect(image_id)))

    def events(self, since: int, kinds: tuple[str, ...]) -> Iterator[bytes]:
        """Follow the events of containers, from some second on, as pieces of text.

        The daemon has begun to send them when this returns.
        """
        filters = {"type": ["container"], "event": list(kinds)}
        self._budget.wait = None  # nothing may happen for hours
        self._budget.renew(None, EVENT_LIMIT)
        try:
            pieces: Any = self._session.events(since=since, filters=filters)
        except _BROKEN as error:
            raise ApiError(f"events: {_line(error)}") from error
        return self._pieces(pieces)

    def _pieces(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for piece in pieces:
                self._budget.renew(None, EVENT_LIMIT)
                yield piece
        except _BROKEN as error:
            raise ApiError(f"events: {_line(error)}") from error

    def abort(self) -> None:
        """Make methods on a unix socket fail from now on, also one that waits in another thread."""
        if self._adapter is not None:
            self._adapter.abort()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _ask(self, what: str, question: Callable[[], object]) -> object:
        """Ask, and ask again where the kept connection turns out to be closed."""
        try:
            self._budget.renew(self._seconds, self._limit)
            try:
                return question()
            except _BROKEN as error:
                if not isinstance(_reason(error), ConnectionError):
                    raise
            self._budget.renew(self._seconds, self._limit)
            return question()
        except ApiError as error:
            raise type(error)(f"{what}: {error}") from error
        except _BROKEN as error:
            kind = Refused if isinstance(_reason(error), PermissionError) else ApiError
            raise kind(f"{what}: {_line(error)}") from error


def _reason(error: BaseException) -> BaseException:
    """Return the error itself, not the ones that the libraries wrapped it in."""
    while isinstance(error, _WRAPPERS) and error.__context__ is not None:
        error = error.__context__
    return error


def _line(error: BaseException) -> str:
    """Describe an error in one line."""
    reason = _reason(error)
    if isinstance(reason, PermissionError):
        return "permission denied: only root and the socket's group may ask"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason).partition("\n")[0][:200] or type(reason).__name__
