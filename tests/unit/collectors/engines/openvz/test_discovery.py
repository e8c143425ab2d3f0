from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.engines.openvz.discovery import (
    Paths,
    expand,
    has_kernel,
    is_node,
    parse_paths,
    read_paths,
)
from tests.support.openvz_node import host_of, make_node

if TYPE_CHECKING:
    from collectors.hostfs import HostFS


def test_paths() -> None:
    assert parse_paths("") == Paths()
    assert parse_paths('VE_PRIVATE="/srv/$VEID"\nDUMPDIR=/var/dump\n') == Paths(
        private="/srv/$VEID", dump="/var/dump"
    )
    assert expand("/a/$VEID/${VEID}", "101") == "/a/101/101"


class TestNode4:
    @pytest.fixture
    def host(self, tmp_path: Path) -> HostFS:
        return host_of(make_node(tmp_path, 4))

    def test_it_is_a_node(self, host: HostFS, tmp_path: Path) -> None:
        assert is_node(host)
        (tmp_path / "proc" / "bc").rename(tmp_path / "bc")
        assert is_node(host)  # row 0 is there
        (tmp_path / "proc" / "vz" / "veinfo").write_text("       101     0    23      192.0.2.1\n")
        assert not is_node(host)
        assert has_kernel(host)  # inside a container it is OpenVZ's, too


def test_a_host_without_openvz_is_no_node(tmp_path: Path) -> None:
    for name in ("proc", "sys"):
        (tmp_path / name).mkdir()
    host = host_of(tmp_path)
    assert not has_kernel(host)
    assert not is_node(host)
    assert read_paths(host) == Paths()
