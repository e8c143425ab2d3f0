from __future__ import annotations

from pathlib import Path

import pytest

from collectors.engines.openvz.config import ConfigurationReader
from collectors.engines.openvz.discovery import Paths
from collectors.engines.openvz.storage import Storage
from tests.support.openvz_node import MOUNTED, NO_PRIVATE_AREA, STOPPED, SUSPENDED, WEB, host_of


class TestStorage:
    def test_status_at_rest_on_4(self, tree4: Path) -> None:
        host = host_of(tree4)
        configuration = ConfigurationReader().read(host)
        storage = Storage(host, configuration.paths)
        at_rest = {ctid: storage.status(c) for ctid, c in configuration.containers.items()}
        assert at_rest["103"] == "stopped"
        assert at_rest["104"] == "suspended"
        assert at_rest["105"] == "mounted"
        assert at_rest["106"] is None
        assert at_rest["110"] == "stopped"

    def test_status_at_rest_on_7(self, tree7: Path) -> None:
        host = host_of(tree7)
        configuration = ConfigurationReader().read(host)
        storage = Storage(host, configuration.paths)
        at_rest = {ctid: storage.status(c) for ctid, c in configuration.containers.items()}
        assert at_rest[STOPPED] == "stopped"
        assert at_rest[SUSPENDED] == "suspended"
        assert at_rest[MOUNTED] == "mounted"
        assert at_rest[NO_PRIVATE_AREA] is None

    def test_layout(self, tree4: Path, tree7: Path) -> None:
        of_4, of_7 = Storage(host_of(tree4), Paths()), Storage(host_of(tree7), Paths())
        assert of_4.layout("/vz/private/102") == "ploop"
        assert of_4.layout("/vz/private/103") == "simfs"
        assert of_7.layout(f"/vz/private/{WEB}") == "ploop"
        assert of_7.layout("/vz/private/101") == "vzfs4"
        assert of_7.layout("/vz/private/gone") == ""
        assert of_7.layout("") == ""

    def test_created_when_its_oldest_part_was(self, tree4: Path) -> None:
        host = host_of(tree4)
        storage = Storage(host, Paths())
        private = (tree4 / "vz" / "private" / "102").stat().st_ctime
        assert storage.created("/vz/private/102", None) == pytest.approx(private, abs=60)
        assert storage.created("", None) is None
        assert storage.created("/vz/private/gone", None) is None
