from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.formats.bolt import BoltError, Bucket, parse_bolt, read_bolt
from collectors.hostfs import Gone
from tests.support.engine_host import EngineHost, fixture, patient

PAGE = 4096


def everything(bucket: Bucket, depth: int = 10) -> int:
    """Walk a database, some levels deep, and count its entries."""
    count = 0
    for _, value in bucket:
        count += 1
        if isinstance(value, Bucket) and depth:
            count += everything(value, depth - 1)
    return count


def test_a_database_that_podman_wrote() -> None:
    top = parse_bolt(fixture("podman/bolt_state.db.gz"))
    names = set(top.bucket("all-ctrs").values().values())
    assert {b"a-run", b"a-exit", b"a-created", b"a-inpod", b"a-health"} <= names
    config = top.bucket("runtime-config").values()
    assert config["graph-root"] == b"/var/lib/containers/storage"
    for _, container in top.bucket("ctr").buckets():
        assert container.values()["config"].startswith(b'{"spec":')


def test_a_database_that_containerd_wrote() -> None:
    top = parse_bolt(fixture("containerd/meta.db.gz"))
    ids = [name for name, _ in top.bucket("v1", "default", "containers").buckets()]
    assert ids == sorted(ids)
    assert {"ctr-running", "ctr-created", "ctr-ended"} <= set(ids)


def test_a_bucket_that_is_not_there_is_empty() -> None:
    top = parse_bolt(fixture("containerd/meta.db.gz"))
    assert top.bucket("v1", "nowhere", "containers").values() == {}
    assert list(top.bucket("v1", "default", "containers", "ctr-running", "image").buckets()) == []


def test_the_newer_whole_meta_page_counts() -> None:
    data = bytearray(fixture("podman/bolt_state.db.gz"))
    transactions = [struct.unpack_from("<Q", data, at + 16 + 48)[0] for at in (0, PAGE)]
    newer = transactions.index(max(transactions)) * PAGE
    data[newer + 20] ^= 0xFF  # half written: its checksum is wrong
    assert everything(parse_bolt(bytes(data))) > 0
    data[(PAGE - newer) + 20] ^= 0xFF
    with pytest.raises(BoltError, match="meta"):
        parse_bolt(bytes(data))


def test_a_database_is_read_from_a_directory(tmp_path: Path) -> None:
    host = EngineHost(tmp_path)
    host.copy("podman/bolt_state.db.gz", "/x/state.db")
    root = host.context().host.root
    assert everything(read_bolt(root, "x/state.db")) > 0
    with pytest.raises(Gone):
        read_bolt(root, "x/other.db")


def test_a_tree_that_is_a_circle_ends() -> None:
    data = bytearray(fixture("podman/bolt_state.db.gz"))
    root = max(
        (struct.unpack_from("<Q", data, at + 64)[0], struct.unpack_from("<Q", data, at + 32)[0])
        for at in (0, PAGE)
    )[1]
    at = root * PAGE
    struct.pack_into("<QHHI", data, at, root, 0x01, 1000, 0)  # a branch of a thousand itselves
    for index in range(1000):
        struct.pack_into("<IIQ", data, at + 16 + index * 16, 0, 0, root)
    with pytest.raises(BoltError):
        everything(parse_bolt(bytes(data)))


@patient
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BoltError):
        parse_bolt(data)


@patient
@given(st.lists(st.tuples(st.integers(2 * PAGE, 147_455), st.integers(0, 255)), max_size=40))
def test_damage_gives_entries_or_an_error(changes: list[tuple[int, int]]) -> None:
    data = bytearray(fixture("podman/bolt_state.db.gz"))
    for at, value in changes:
        data[at % len(data)] = value
    try:
        assert everything(parse_bolt(bytes(data))) >= 0
    except BoltError as error:
        assert str(error)  # noqa: PT017 - both ends are right


@patient
@given(st.integers(0, 150_000))
def test_a_cut_off_database_gives_entries_or_an_error(size: int) -> None:
    data = fixture("podman/bolt_state.db.gz")[:size]
    try:
        assert everything(parse_bolt(data)) >= 0
    except BoltError as error:
        assert str(error)  # noqa: PT017
