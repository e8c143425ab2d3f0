"""libpod's database: every container of podman's, running or not.

Podman before 4.8, and later ones that were upgraded from there, keep it in BoltDB under
``<graphroot>/libpod/bolt_state.db``, newer ones in SQLite as ``<graphroot>/db.sql``. Both hold the
same two JSON documents of each container: libpod/container_config.go and libpod/container.go.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.engines.podman.config import Configured, configured
from collectors.engines.shared.files import CONFIG_LIMIT
from collectors.formats.bolt import DATABASE_LIMIT, BoltError, read_bolt
from collectors.formats.documents import JsonObject, parse_object
from collectors.hostfs import HostReadError

if TYPE_CHECKING:
    from collectors.hostfs import Dir

log = logging.getLogger(__name__)

Rows = list[tuple[bytes, bytes]]

BOLT = "libpod/bolt_state.db"
SQLITE = "db.sql"

_SQLITE_SECONDS = 2.0
_SQLITE_HEADER = 100  # https://sqlite.org/fileformat2.html#the_database_header
_VERSIONS = slice(18, 20)
_CHANGES = slice(24, 28)
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """All of one libpod's containers, each with its configuration and its state."""

    containers: tuple[tuple[Configured, JsonObject], ...] = ()
    pods: Mapping[str, str] = field(default_factory=dict)
    """Names of the pods by id."""


class DatabaseReader:
    """Reads one libpod's database; keeps each container's parsed configuration.

    The state of the containers changes often, their configuration hardly ever, and it is large.
    """

    def __init__(self, limit: int = DATABASE_LIMIT) -> None:
        self._limit = limit
        self._configured: dict[int, Configured] = {}

    def load(self, directory: Dir, name: str) -> Database | None:
        """Read one database, a loader for ``FileCache``; None when it does not parse."""
        read = self._read_bolt if name == BOLT else self._read_sqlite
        try:
            return read(directory, name)
        except BoltError as error:
            log.info("%s: %s", directory.path(name), error)
            return None

    def _read_bolt(self, directory: Dir, name: str) -> Database:
        top = read_bolt(directory, name, self._limit)
        containers = []
        for _, bucket in top.bucket("ctr").buckets():
            values = bucket.values()
            containers.append((values.get("config", b""), values.get("state", b"")))
        pods = top.bucket("allPods").values()
        return Database(
            containers=tuple(self._parse(containers)),
            pods={pod: podname.decode("utf-8", "replace") for pod, podname in pods.items()},
        )

    def _read_sqlite(self, directory: Dir, name: str) -> Database | None:
        rows = read_sqlite(
            directory,
            name,
            frozenset({"ContainerConfig", "ContainerState", "PodConfig"}),
            (
                "SELECT c.JSON, s.JSON FROM ContainerConfig c JOIN ContainerState s ON s.ID = c.ID",
                "SELECT ID, Name FROM PodConfig",
            ),
            self._limit,
        )
        if rows is None:
            return None
        containers, pods = rows
        return Database(
            containers=tuple(self._parse(containers)),
            pods={_text(pod): _text(podname) for pod, podname in pods},
        )

    def _parse(self, documents: Rows) -> Iterator[tuple[Configured, JsonObject]]:
        before, self._configured = self._configured, {}
        for config, state in documents:
            key = hash(config)
            container = before.get(key)
            if container is None:
                document = parse_object(config)
                container = configured(document) if document is not None else None
            if container is not None:
                self._configured[key] = container
                yield container, parse_object(state) or JsonObject()


def newest_database(directory: Dir) -> str:
    """Return which of two databases a libpod uses: the one written to last; "" for none."""
    times = {}
    for name in (BOLT, SQLITE):
        try:
            times[name] = directory.stat(name).st_mtime
        except HostReadError:
            continue
    return max(times, key=times.__getitem__) if times else ""


def read_sqlite(
    directory: Dir,
    name: str,
    tables: frozenset[str],
    queries: tuple[str, ...],
    limit: int = DATABASE_LIMIT,
) -> list[Rows] | None:
    """Ask an SQLite database for pairs of text; None when it is none, or lacks one of ``tables``.

    It is copied and opened in memory: no lock that podman could have to wait for, no journal.
    Whoever owns the file can only waste his own time and space: both are limited.
    """
    import sqlite3  # noqa: PLC0415 - only where there is such a podman

    for _ in range(_ATTEMPTS):
        data = bytearray(directory.read(name, limit))
        now = directory.read_head(name, _SQLITE_HEADER)
        if len(data) >= _SQLITE_HEADER and data[_CHANGES] == now[_CHANGES]:
            break
    else:
        return None
    # A database in WAL mode cannot be opened in memory; what is only in the log is seen later.
    data[_VERSIONS] = b"\x01\x01"
    connection = sqlite3.connect(":memory:")
    try:
        connection.text_factory = bytes
        connection.deserialize(bytes(data))
        deadline = time.monotonic() + _SQLITE_SECONDS
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, CONFIG_LIMIT)
        connection.execute("PRAGMA trusted_schema = OFF")
        # A view of the right name could compute anything.
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not tables <= {_text(name) for (name,) in names.fetchmany(100)}:
            return None
        return [_pairs(connection.execute(query), limit) for query in queries]
    except sqlite3.Error as error:
        log.info("%s: %s", directory.path(name), error)
        return None
    finally:
        connection.close()


def _pairs(rows: Iterable[tuple[object, object]], left: int) -> Rows:
    pairs = []
    for first, second in rows:
        if isinstance(first, bytes) and isinstance(second, bytes):
            pairs.append((first, second))
            left -= len(first) + len(second)
            if left < 0:
                break
    return pairs


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
