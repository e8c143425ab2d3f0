from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.facts import Beancounter
from collectors.hostfs import HostFS
from collectors.kernel.beancounters import (
    parse_beancounters,
    read_beancounters,
    read_own_beancounters,
)


def test_resources_of_one_container_have_no_owner() -> None:
    by_owner = parse_beancounters(b"            numproc 3 9 10 20 1\n            dummy 0 0 0 0 0\n")
    assert by_owner == {
        "": (Beancounter(resource="numproc", held=3, maxheld=9, barrier=10, limit=20, failures=1),)
    }


def test_rows_that_make_no_sense_cost_themselves() -> None:
    data = b"101: numproc 3 9 10 20 1\n numfile 1 2 x 4 5\n numpty 1 2 3 4\n shmpages 1 2 3 4 5\n"
    assert [b.resource for b in parse_beancounters(data)["101"]] == ["numproc", "shmpages"]


@given(st.binary(max_size=500))
def test_anything_is_parsed(data: bytes) -> None:
    assert isinstance(parse_beancounters(data), dict)


def host(tmp_path: Path, files: dict[str, str]) -> HostFS:
    for name in ("proc/vz/x", *files):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files.get(name, ""))
    (tmp_path / "sys").mkdir()
    return HostFS(str(tmp_path / "proc"), str(tmp_path / "sys"), str(tmp_path))


def test_a_container_has_beancounters_of_its_own(tmp_path: Path) -> None:
    files = {"proc/user_beancounters": "101: numproc 3 9 10 20 1\n"}
    (numproc,) = read_own_beancounters(host(tmp_path, files))
    assert (numproc.resource, numproc.failures) == ("numproc", 1)


@pytest.mark.parametrize(
    "files",
    [
        {"proc/user_beancounters": "101: numproc 3 9 10 20 1\n", "proc/bc/resources": ""},
        {"proc/user_beancounters": "0: numproc 3 9 10 20 1\n"},
        {"proc/user_beancounters": "101: numproc 3 9 10 20 1\n102: numproc 3 9 10 20 1\n"},
        {},
    ],
)
def test_a_node_has_none_of_its_own(tmp_path: Path, files: dict[str, str]) -> None:
    assert read_own_beancounters(host(tmp_path, files)) == ()


def test_without_the_file_of_all_the_older_one_is_read(tmp_path: Path) -> None:
    files = {"proc/user_beancounters": "0: numproc 1 1 1 1 0\n101: numproc 3 9 10 20 1\n"}
    assert set(read_beancounters(host(tmp_path, files))) == {"0", "101"}
