from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.podman.collector import PodmanCollector
from collectors.engines.podman.database import (
    BOLT,
    SQLITE,
    Database,
    DatabaseReader,
    newest_database,
    read_sqlite,
)
from collectors.formats.bolt import parse_bolt
from tests.support.engine_host import EngineHost, by_name, fixture, patient

# libpod/sqlite_state_internal.go of podman 4.8 and later.
SCHEMA = """
CREATE TABLE ContainerConfig(ID TEXT PRIMARY KEY NOT NULL, Name TEXT UNIQUE NOT NULL, PodID TEXT,
    JSON TEXT NOT NULL);
CREATE TABLE ContainerState(ID TEXT PRIMARY KEY NOT NULL, State INTEGER NOT NULL,
    ExitCode INTEGER, JSON TEXT NOT NULL);
CREATE TABLE PodConfig(ID TEXT PRIMARY KEY NOT NULL, Name TEXT UNIQUE NOT NULL, JSON TEXT NOT NULL);
"""


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


@pytest.fixture
def newer(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database as newer podmans have it, with what podman 4.3 wrote into its own."""
    connection = sqlite3.connect(tmp_path / "db.sql")
    connection.executescript(SCHEMA)
    top = parse_bolt(fixture("podman/bolt_state.db.gz"))
    for engine_id, bucket in top.bucket("ctr").buckets():
        values = bucket.values()
        name = json.loads(values["config"])["name"]
        # podman stores the documents as blobs in columns of text.
        connection.execute(
            "INSERT INTO ContainerConfig VALUES (?, ?, NULL, ?)",
            (engine_id, name, values["config"]),
        )
        connection.execute(
            "INSERT INTO ContainerState VALUES (?, 1, NULL, ?)", (engine_id, values["state"])
        )
    for pod, name in top.bucket("allPods").values().items():
        connection.execute("INSERT INTO PodConfig VALUES (?, ?, '{}')", (pod, name.decode()))
    connection.commit()
    yield connection
    connection.close()


def install(host: EngineHost, tmp_path: Path) -> None:
    host.write(f"/store/{SQLITE}", (tmp_path / "db.sql").read_bytes())


def load(host: EngineHost, name: str) -> Database | None:
    with host.context().host.root.open_dir("store", confined=True) as store:
        return DatabaseReader().load(store, name)


@pytest.mark.usefixtures("newer")
def test_both_kinds_of_database_say_the_same(host: EngineHost, tmp_path: Path) -> None:
    host.copy("podman/bolt_state.db.gz", f"/store/{BOLT}")
    install(host, tmp_path)
    older = load(host, BOLT)
    assert older is not None
    assert older == load(host, SQLITE)
    assert len(older.containers) == 6
    assert list(older.pods.values()) == ["a-pod"]


@pytest.mark.usefixtures("newer")
def test_a_store_of_a_newer_podman(host: EngineHost, tmp_path: Path) -> None:
    data = (tmp_path / "db.sql").read_bytes()
    host.write("/var/lib/containers/storage/db.sql", data)
    found = by_name(PodmanCollector().collect(host.context()))
    assert found["a-exit"].exit_code == 7
    assert found["a-inpod"].pod == "a-pod"


@pytest.mark.usefixtures("newer")
def test_a_database_in_write_ahead_mode_can_be_read(host: EngineHost, tmp_path: Path) -> None:
    data = bytearray((tmp_path / "db.sql").read_bytes())
    data[18:20] = b"\x02\x02"
    host.write(f"/store/{SQLITE}", bytes(data))
    assert load(host, SQLITE) is not None


@pytest.mark.usefixtures("newer")
def test_a_configuration_is_parsed_once(
    host: EngineHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(host, tmp_path)
    with host.context().host.root.open_dir("store", confined=True) as store:
        reader = DatabaseReader()
        first = reader.load(store, SQLITE)
        monkeypatch.setattr(
            "collectors.engines.podman.database.configured", lambda _: pytest.fail("parsed again")
        )
        assert reader.load(store, SQLITE) == first


def test_the_database_that_was_written_last_counts(host: EngineHost) -> None:
    host.at("/store").mkdir()
    with host.context().host.root.open_dir("store", confined=True) as store:
        assert newest_database(store) == ""
        os.utime(host.write(f"/store/{BOLT}", "x"), (100, 100))
        assert newest_database(store) == BOLT
        os.utime(host.write(f"/store/{SQLITE}", "x"), (200, 200))
        assert newest_database(store) == SQLITE


def test_a_view_in_place_of_a_table_is_not_asked(host: EngineHost, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "db.sql")
    connection.executescript(
        "CREATE TABLE ContainerState(ID, State, ExitCode, JSON); CREATE TABLE PodConfig(ID, Name);"
        "CREATE VIEW ContainerConfig AS WITH RECURSIVE t(ID, JSON) AS"
        " (SELECT 1, 'x' UNION ALL SELECT ID + 1, JSON FROM t) SELECT * FROM t;"
    )
    connection.close()
    install(host, tmp_path)
    assert load(host, SQLITE) is None


def test_a_query_without_an_end_is_ended(
    host: EngineHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite3.connect(tmp_path / "db.sql").executescript("CREATE TABLE x(a);").close()
    install(host, tmp_path)
    monkeypatch.setattr("collectors.engines.podman.database._SQLITE_SECONDS", 0.0)
    endless = "WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t) SELECT a, a FROM t"
    with host.context().host.root.open_dir("store", confined=True) as store:
        assert read_sqlite(store, SQLITE, frozenset({"x"}), (endless,)) is None


def test_values_of_other_types_are_left_out(host: EngineHost, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "db.sql")
    connection.executescript(SCHEMA)
    connection.execute("INSERT INTO ContainerConfig VALUES ('a', 'a', NULL, 7)")
    connection.execute("INSERT INTO ContainerState VALUES ('a', 1, NULL, '{}')")
    connection.execute("INSERT INTO ContainerConfig VALUES ('b', 'b', NULL, '[]')")
    connection.execute("INSERT INTO ContainerState VALUES ('b', 1, NULL, x'ff')")
    connection.commit()
    connection.close()
    install(host, tmp_path)
    assert load(host, SQLITE) == Database()


@patient
@given(st.binary(max_size=300) | st.binary(max_size=300).map(b"SQLite format 3\x00".__add__))
def test_what_is_no_database_is_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    host = EngineHost(tmp_path_factory.mktemp("host"))
    host.write(f"/store/{SQLITE}", data)
    host.write(f"/store/{BOLT}", data)
    assert load(host, SQLITE) is None
    assert load(host, BOLT) is None
