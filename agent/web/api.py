"""The API: JSON of what the agent knows, and a stream of events. docs/api.md describes it."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from agent.api import objects, openapi, schema
from agent.api import uses as use_of
from agent.api.broker import Broker
from agent.api.encode import as_json
from agent.exposition import compressed
from agent.sanitize import escape_bytes, printable
from agent.selection import Selection
from agent.web.answers import accepts_gzip, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.api.broker import Source
    from agent.api.watch import Pair
    from agent.model import Container, Snapshot
    from agent.web.answers import Headers, StartResponse

log = logging.getLogger(__name__)

_SLOTS = 3
"""Answers that are made at the same time: scrapes and health checks always find a thread."""

_SLOT_SECONDS = 2.0
_QUERY_LIMIT = 4096
_WORTH_GZIP = 1000

_KEPT_BYTES = 8 << 20
_KEPT = 16
"""Answers that are kept to be sent again while nothing changes, however many clients ask."""

_HEARTBEAT = 5.0
_LIFE = 300.0
"""Seconds after which a stream ends: whoever still listens comes back, by then with a password that
may have changed, and whoever does not has no slot for ever."""

_RETRY = 2000
"""Milliseconds after which a client comes back."""

_CACHE = "private, no-cache"
"""It may be kept, but is asked for again, with its ETag."""


class _Refused(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: str, detail: str, *headers: tuple[str, str]) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


@dataclass(frozen=True, slots=True)
class _Answer:
    """A body, and what it looks like with gzip."""

    tag: str
    body: bytes
    zipped: bytes | None


class Api:
    """Answers below /api/. Used by several threads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._epoch = secrets.token_hex(6)
        self.broker = Broker(source, self._epoch)
        self._slots = threading.BoundedSemaphore(_SLOTS)
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], _Answer] = OrderedDict()
        self._making = threading.Lock()
        self._versions = _Versions()

    def close(self) -> None:
        """End the streams."""
        self.broker.close()

    def answer(
        self, environ: Mapping[str, Any], path: str, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer one request."""
        is_head = environ["REQUEST_METHOD"] == "HEAD"
        try:
            operation, container_id = _route(environ["REQUEST_METHOD"], path)
            query = _query(environ.get("QUERY_STRING", ""), operation)
            if operation.kind == openapi.EVENTS:
                return self._events(environ, start_response)
            answer = self._answer(operation, container_id, query)
        except _Refused as refused:
            problem = _problem(start_response, refused)
            return [] if is_head else problem
        headers: Headers = [("Vary", "Accept-Encoding")]
        if answer.tag:
            headers.append(("ETag", answer.tag))
            if _matches(environ.get("HTTP_IF_NONE_MATCH", ""), answer.tag):
                start(start_response, "304 Not Modified", headers, cache=_CACHE)
                return []
        body = answer.body
        if answer.zipped is not None and accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            body = answer.zipped
            headers.append(("Content-Encoding", "gzip"))
        headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start(start_response, "200 OK", headers, cache=_CACHE)
        return [] if is_head else [body]

    def _answer(self, operation: openapi.Operation, container_id: str, query: _Query) -> _Answer:
        """Return the answer, made anew only if something has changed."""
        if not self._slots.acquire(timeout=_SLOT_SECONDS):
            raise _Refused(
                "503 Service Unavailable",
                f"{_SLOTS} requests of the API are being answered, which is the limit.",
                ("Retry-After", "1"),
            )
        try:
            snapshot = self._source.snapshot()
            container = _find(snapshot, container_id) if operation.by_id else None
            pair = None
            if operation.name != "openapi" and query.use:
                pair = self.broker.watch.look()
            version = self._versions.of(snapshot, pair, operation)
            key = operation.name, f"{container_id}?{query}"
            tag = f'W/"{self._epoch}-{_digest(*key)}-{version}"' if operation.tagged else ""
            with self._making:  # what another thread makes meanwhile is not made twice
                with self._lock:
                    kept = self._kept.get(key)
                if kept is not None and tag and kept.tag == tag:
                    return kept
                body = as_json(_object(operation, container, snapshot, pair, query))
                zipped = b"".join(compressed([body])) if len(body) > _WORTH_GZIP else None
                answer = _Answer(tag, body, zipped)
                if tag:
                    self._keep(key, answer)
            return answer
        finally:
            self._slots.release()

    def _keep(self, key: tuple[str, str], answer: _Answer) -> None:
        with self._lock:
            self._kept[key] = answer
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT or (
                len(self._kept) > 1 and sum(len(a.body) for a in self._kept.values()) > _KEPT_BYTES
            ):
                self._kept.popitem(last=False)

    def _events(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        headers = [("Content-Type", openapi.EVENTS), ("X-Accel-Buffering", "no")]
        if environ["REQUEST_METHOD"] == "HEAD":
            start(start_response, "200 OK", headers)
            return []
        address = str(environ.get("REMOTE_ADDR", ""))
        reason = self.broker.join(address)
        if reason:
            raise _Refused("503 Service Unavailable", reason, ("Retry-After", "10"))
        lent = environ.get("tallyman.stream")
        give_back: Callable[[], None] | None = None
        if lent is not None:
            try:
                give_back = lent()
            except (RuntimeError, OSError) as error:
                self.broker.leave(address)
                log.warning("no thread for another event stream: %s", error)
                raise _Refused(
                    "503 Service Unavailable",
                    "There is no thread for another event stream.",
                    ("Retry-After", "10"),
                ) from error
        start(start_response, "200 OK", headers)

        def leave() -> None:
            self.broker.leave(address)
            if give_back is not None:
                give_back()

        return _Stream(self.broker, environ.get("HTTP_LAST_EVENT_ID", ""), leave)


class _Stream:
    """The events from a place on; ``close``, which a WSGI server always calls, ends it."""

    def __init__(self, broker: Broker, last_event_id: str, leave: Callable[[], None]) -> None:
        self._broker = broker
        self._last = last_event_id
        self._leave = leave
        # From now on, not from when the first piece is asked for.
        self._end = broker.log.end

    def __iter__(self) -> Iterator[bytes]:
        events = self._broker.log
        place = events.place_after(self._last) if self._last else self._end
        text = f"retry: {_RETRY}\nid: {self._broker.epoch}-{self._end - 1}\n\n".encode()
        if place is None:
            place = self._end
            text += events.reset(time.time())
        yield text
        ends = time.monotonic() + _LIFE
        while time.monotonic() < ends and not events.closed:
            self._broker.watch.look()
            found = events.read(place, _HEARTBEAT)
            if found is None:
                # It has read too slowly, and would go on to: what it missed it can ask for.
                yield events.reset(time.time())
                return
            place, text = found
            yield text or b":\n\n"

    def close(self) -> None:
        """Make room for another one."""
        self._leave()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    """The query of a request, checked."""

    engine: frozenset[str] = frozenset()
    style: frozenset[str] = frozenset()
    removed: bool = False
    use: bool = True

    def __str__(self) -> str:
        return repr((sorted(self.engine), sorted(self.style), self.removed, self.use))


class _Versions:
    """Numbers what answers are made of: another number where it is another object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._number = 0

    def of(self, snapshot: Snapshot, pair: Pair | None, operation: openapi.Operation) -> str:
        """Return the version of an answer."""
        if operation.name == "openapi":
            return "0"
        seen = (snapshot.containers, snapshot.details, snapshot.complete)
        with self._lock:
            same = len(self._seen) == len(seen) and all(
                one is other for one, other in zip(self._seen, seen, strict=True)
            )
            if not same:
                self._seen = seen
                self._number += 1
            return f"{self._number}-{pair.number if pair is not None else 0}"


def _object(
    operation: openapi.Operation,
    container: Container | None,
    snapshot: Snapshot,
    pair: Pair | None,
    query: _Query,
) -> object:
    match operation.name:
        case "containers":
            selection = Selection(engines=query.engine, styles=query.style, gone=query.removed)
            uses = use_of.uses(pair.last, pair.before) if pair else {}
            return schema.ContainerList(
                complete=snapshot.complete,
                reading=use_of.reading(pair.last, pair.before) if pair else None,
                containers=objects.listed(snapshot, selection, uses),
            )
        case "container" if container is not None:
            use = use_of.uses(pair.last, pair.before).get(container.id) if pair else None
            return objects.explained(container, snapshot, use)
        case "use" if pair is not None:
            return schema.UseList(
                reading=use_of.reading(pair.last, pair.before),
                host=use_of.host_use(pair.last, pair.before),
                containers=use_of.uses(pair.last, pair.before),
            )
        case "host":
            return objects.host(
                snapshot,
                use_of.reading(pair.last, pair.before) if pair else None,
                use_of.host_use(pair.last, pair.before) if pair else None,
            )
    return openapi.document()


_ALLOW = ("Allow", "GET, HEAD")
_BY_PATH = {openapi.ROOT + each.path: each for each in openapi.OPERATIONS}
_ONE = _BY_PATH[openapi.ROOT + "/containers/{id}"]
_PREFIX = openapi.ROOT + "/containers/"


def _route(method: str, path: str) -> tuple[openapi.Operation, str]:
    if method not in ("GET", "HEAD"):
        raise _Refused("405 Method Not Allowed", "Only GET and HEAD are answered here.", _ALLOW)
    if path.startswith(_PREFIX) and len(path) > len(_PREFIX):
        return _ONE, path.removeprefix(_PREFIX)
    operation = _BY_PATH.get(path)
    if operation is None or operation.by_id:
        known = ", ".join(_BY_PATH)
        raise _Refused("404 Not Found", f"There is nothing at {printable(path, 100)}, but {known}.")
    return operation, ""


def _find(snapshot: Snapshot, wanted: str) -> Container:
    """Return the container of an id, written with its slashes or with %2F, as in JSON or raw."""
    for way in (wanted, wanted.replace("%2F", "/").replace("%2f", "/")):
        for key in (way, f"/{way}"):
            found = snapshot.containers.get(key)
            if found is not None:
                return found
    if "\\x" in wanted:
        # JSON cannot hold the bytes of an id that is not UTF-8.
        shown = wanted if wanted.startswith("/") else f"/{wanted}"
        shown = shown.replace("%2F", "/").replace("%2f", "/")
        for key, container in snapshot.containers.items():
            if escape_bytes(key) == shown:
                return container
    raise _Refused(
        "404 Not Found",
        f"There is no container {printable(wanted, 100)}; {openapi.ROOT}/containers lists all.",
    )


def _query(text: str, operation: openapi.Operation) -> _Query:
    known = {parameter.name: parameter for parameter in operation.parameters}
    if len(text) > _QUERY_LIMIT:
        raise _Refused("400 Bad Request", f"The query is longer than {_QUERY_LIMIT} characters.")
    found: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=40, errors="strict")
    except ValueError as error:
        raise _Refused("400 Bad Request", "The query cannot be read.") from error
    for name, value in pairs:
        parameter = known.get(name)
        if parameter is None:
            names = ", ".join(known) or "none"
            raise _Refused(
                "400 Bad Request",
                f"There is no parameter {printable(name, 60)} here; there are: {names}.",
            )
        values = value.split(",") if parameter.many else [value]
        if found.get(name) and not parameter.many:
            raise _Refused("400 Bad Request", f"{name} is given twice.")
        if parameter.values and not set(values) <= set(parameter.values):
            choices = ", ".join(parameter.values)
            raise _Refused(
                "400 Bad Request", f"{name} is {printable(value, 60)}; it may be: {choices}."
            )
        found.setdefault(name, []).extend(values)
    return _Query(
        engine=frozenset(found.get("engine", ())),
        style=frozenset(found.get("style", ())),
        removed=found.get("removed") == ["true"],
        use=found.get("use") != ["false"],
    )


def _matches(if_none_match: str, tag: str) -> bool:
    """Return whether a client has this already: weak comparison, RFC 9110 section 13.1.2."""
    if if_none_match.strip() == "*":
        return True
    tags = {each.strip().removeprefix("W/") for each in if_none_match[:_QUERY_LIMIT].split(",")}
    return tag.removeprefix("W/") in tags


def _digest(*words: str) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for word in words:
        digest.update(word.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _problem(start_response: StartResponse, refused: _Refused) -> list[bytes]:
    number, _, title = refused.status.partition(" ")
    body = as_json(
        schema.Problem(type="about:blank", title=title, status=int(number), detail=refused.detail)
    )
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        *refused.headers,
    ]
    start(start_response, refused.status, headers)
    return [body]
