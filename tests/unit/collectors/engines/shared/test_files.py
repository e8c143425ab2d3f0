from __future__ import annotations

import os
from pathlib import Path

import pytest

from collectors.engines.shared.files import FileCache, made_at, parsed, read_object
from collectors.hostfs import Gone, HostFS, Malformed
from tests.support.engine_host import EngineHost


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


def test_a_file_is_parsed_again_only_when_it_changed(host: EngineHost) -> None:
    seen: list[bytes] = []

    def parse(data: bytes) -> bytes:
        seen.append(data)
        return data

    cache = FileCache(parsed(parse))
    path = host.write("/etc/x", "one")
    root = host.context().host.root
    assert cache.get(root, "etc/x") == cache.get(root, "etc/x") == b"one"
    assert len(seen) == 1
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert cache.get(root, "etc/x") == b"two"


def test_a_file_that_was_replaced_is_another(host: EngineHost) -> None:
    cache = FileCache(parsed(bytes))
    old = host.write("/etc/x", "one")
    root = host.context().host.root
    cache.get(root, "etc/x")
    new = host.write("/etc/new", "two")
    os.utime(new, ns=(old.stat().st_atime_ns, old.stat().st_mtime_ns))
    new.rename(old)
    assert cache.get(root, "etc/x") == b"two"


def test_what_does_not_parse_is_counted_once(host: EngineHost) -> None:
    cache = FileCache(read_object)
    host.write("/etc/x", "[]")
    context = host.context()
    assert cache.get(context.host.root, "etc/x") is None
    assert cache.get(context.host.root, "etc/x") is None
    assert context.host.tally.malformed.total() == 1


def test_what_nobody_asks_for_is_forgotten(host: EngineHost) -> None:
    count = 0

    def parse(data: bytes) -> bytes:
        nonlocal count
        count += 1
        return data

    cache = FileCache(parsed(parse))
    host.write("/etc/x", "one")
    root = host.context().host.root
    cache.get(root, "etc/x")
    cache.sweep()
    cache.sweep()
    cache.get(root, "etc/x")
    assert count == 2


def test_a_missing_or_too_large_file_raises(host: EngineHost) -> None:
    cache = FileCache(parsed(bytes, limit=3))
    host.write("/etc/x", "four")
    root = host.context().host.root
    with pytest.raises(Gone):
        cache.get(root, "etc/nothing")
    with pytest.raises(Malformed):
        cache.get(root, "etc/x")


def test_birth_is_not_moved_by_changes(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    host = HostFS("/proc", "/sys", str(tmp_path))
    before = made_at(host.root, "d")
    os.utime(tmp_path / "d", (1, 1))
    assert made_at(host.root, "d") == before
    assert before is not None
    assert before <= (tmp_path / "d").stat().st_ctime
    assert made_at(host.root, "nowhere") is None
