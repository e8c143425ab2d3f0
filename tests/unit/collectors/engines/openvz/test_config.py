"""The configuration of containers, and what the disk says of those that do not run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.openvz.config import (
    ConfigurationReader,
    parse_container,
)
from collectors.engines.openvz.discovery import Paths, expand, parse_paths
from collectors.engines.openvz.names import ctid_of_link
from collectors.engines.openvz.parameters import Range, parse_parameters, parse_range
from collectors.engines.openvz.storage import Storage
from collectors.facts import Beancounter
from collectors.hostfs import HostFS
from tests.support.openvz_node import make_node, remove, without_symlinks

PAGE = 4096
WEB = "3d32522a-80af-4773-b9fa-ea4915dee4b3"
STOPPED = "e6a7f1c2-1111-4222-8333-944455556666"
SUSPENDED = "f0000000-1111-4222-8333-944455556667"
MOUNTED = "aaaaaaaa-1111-4222-8333-944455556668"
NO_PRIVATE_AREA = "cccccccc-1111-4222-8333-944455556670"


def host_of(node: Path) -> HostFS:
    return HostFS(str(node / "proc"), str(node / "sys"), str(node))


@pytest.fixture(params=["links", "files"])
def node4(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    node = make_node(tmp_path / "4", 4)
    if request.param == "files":
        without_symlinks(node)
    return node


@pytest.fixture(params=["links", "files"])
def node7(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    node = make_node(tmp_path / "7", 7)
    if request.param == "files":
        without_symlinks(node)
    return node


class TestNodes:
    def test_containers_of_4(self, node4: Path) -> None:
        found = ConfigurationReader().read(host_of(node4))
        assert set(found.containers) == {
            *("101", "102", "103", "104", "105", "106", "110", "777", "1000000001")
        }
        assert found.names == {"101": "web01", "103": "db01"}
        web = found.containers["101"]
        assert (web.hostname, web.private) == ("web01.example.com", "/vz/private/101")
        facts = web.facts
        assert facts.ostemplate == "debian-12-x86_64"
        assert facts.configured_addresses == ("192.0.2.11", "192.0.2.111", "2001:db8::11")
        assert (facts.onboot, facts.cpus) == (True, 2)
        assert facts.disk_hard_bytes == 2306867 * 1024
        assert facts.swap_limit_bytes == 1 << 30
        assert facts.io_limit_operations_per_second == 500
        assert found.containers["102"].facts.cpu_limit_ratio == 0.5

    def test_containers_of_7_have_it_in_their_private_area(self, node7: Path) -> None:
        found = ConfigurationReader().read(host_of(node7))
        assert WEB in found.containers
        assert found.name_of(STOPPED) == "db 01"
        web = found.containers[WEB].facts
        assert web.configured_addresses == ("192.0.2.11", "2001:db8::11", "10.0.0.5")
        assert web.cpu_limit_ratio == 2.0
        assert web.ostemplate == "debian-12-x86_64"

    def test_a_link_to_nothing_is_no_configuration(self, node7: Path) -> None:
        remove(node7 / "vz" / "private" / WEB)
        assert WEB not in ConfigurationReader().read(host_of(node7)).containers

    def test_a_name_that_is_not_linked_does_not_count(self, node4: Path) -> None:
        remove(node4 / "etc" / "vz" / "names" / "web01")
        found = ConfigurationReader().read(host_of(node4))
        assert found.containers["101"].name == "web01"
        assert found.name_of("101") == ""

    def test_without_the_directory_of_names_the_parameter_counts(self, node4: Path) -> None:
        remove(node4 / "etc" / "vz" / "names")
        assert ConfigurationReader().read(host_of(node4)).name_of("101") == "web01"

    def test_no_configuration_at_all(self, node4: Path) -> None:
        remove(node4 / "etc")
        found = ConfigurationReader().read(host_of(node4))
        assert found.containers == {}
        assert not found.lacks("101")

    def test_other_files_are_no_containers(self, node4: Path) -> None:
        directory = node4 / "etc" / "vz" / "conf"
        for name in ("-5.conf", "0.conf", "ve-basic.conf-sample", "120.conf.destroyed", "x.conf"):
            (directory / name).write_text('HOSTNAME="x"\n')
        found = ConfigurationReader().read(host_of(node4))
        assert len(found.containers) == 9
        assert found.lacks("120")

    def test_a_file_that_changes_is_read_again(self, node4: Path) -> None:
        reader, host = ConfigurationReader(), host_of(node4)
        path = node4 / "etc" / "vz" / "conf" / "101.conf"
        assert reader.read(host).containers["101"].hostname == "web01.example.com"
        path.unlink()
        path.write_text('HOSTNAME="other.example.com"\n')
        assert reader.read(host, full=False).containers["101"].hostname == "web01.example.com"
        assert reader.read(host).containers["101"].hostname == "other.example.com"

    def test_a_light_pass_sees_what_is_new_and_gone(self, node4: Path) -> None:
        reader, host = ConfigurationReader(), host_of(node4)
        reader.read(host)
        directory = node4 / "etc" / "vz" / "conf"
        (directory / "101.conf").unlink()
        (directory / "120.conf").write_text('HOSTNAME="new"\n')
        found = reader.read(host, full=False).containers
        assert "101" not in found
        assert found["120"].hostname == "new"

    def test_a_file_too_large_leaves_its_container_unnamed(self, node4: Path) -> None:
        (node4 / "etc" / "vz" / "conf" / "101.conf").unlink()
        (node4 / "etc" / "vz" / "conf" / "101.conf").write_text('HOSTNAME="x"\n' * 10_000)
        host = host_of(node4)
        assert ConfigurationReader().read(host).containers["101"].hostname == ""
        assert host.tally.malformed.total() == 1


class TestStorage:
    def test_status_at_rest_on_4(self, node4: Path) -> None:
        host = host_of(node4)
        found = ConfigurationReader().read(host)
        storage = Storage(host, found.paths)
        at_rest = {ctid: storage.status(c) for ctid, c in found.containers.items()}
        assert at_rest["103"] == "stopped"
        assert at_rest["104"] == "suspended"
        assert at_rest["105"] == "mounted"
        assert at_rest["106"] is None
        assert at_rest["110"] == "stopped"

    def test_status_at_rest_on_7(self, node7: Path) -> None:
        host = host_of(node7)
        found = ConfigurationReader().read(host)
        storage = Storage(host, found.paths)
        at_rest = {ctid: storage.status(c) for ctid, c in found.containers.items()}
        assert at_rest[STOPPED] == "stopped"
        assert at_rest[SUSPENDED] == "suspended"
        assert at_rest[MOUNTED] == "mounted"
        assert at_rest[NO_PRIVATE_AREA] is None

    def test_layout(self, node4: Path, node7: Path) -> None:
        of_4, of_7 = Storage(host_of(node4), Paths()), Storage(host_of(node7), Paths())
        assert of_4.layout("/vz/private/102") == "ploop"
        assert of_4.layout("/vz/private/103") == "simfs"
        assert of_7.layout(f"/vz/private/{WEB}") == "ploop"
        assert of_7.layout("/vz/private/101") == "vzfs4"
        assert of_7.layout("/vz/private/gone") == ""
        assert of_7.layout("") == ""

    def test_created_when_its_oldest_part_was(self, node4: Path) -> None:
        host = host_of(node4)
        storage = Storage(host, Paths())
        private = (node4 / "vz" / "private" / "102").stat().st_ctime
        assert storage.created("/vz/private/102", None) == pytest.approx(private, abs=60)
        assert storage.created("", None) is None
        assert storage.created("/vz/private/gone", None) is None


class TestParameters:
    def test_forms_of_a_line(self) -> None:
        text = '# A="1"\nB="two words"\n  C=3  \nD="unmatched\nE=\nF=""\ng="x"\nH I="x"\nJ="a=b"\n'
        assert parse_parameters(text) == {"B": "two words", "C": "3", "E": "", "F": "", "J": "a=b"}

    def test_paths(self) -> None:
        assert parse_paths("") == Paths()
        assert parse_paths('VE_PRIVATE="/srv/$VEID"\nDUMPDIR=/var/dump\n') == Paths(
            private="/srv/$VEID", dump="/var/dump"
        )
        assert expand("/a/$VEID/${VEID}", "101") == "/a/101/101"

    @pytest.mark.parametrize(
        ("text", "unit", "expected"),
        [
            ("0:512M", PAGE, Range(0, 512 << 20)),
            ("131072:131072", PAGE, Range(131072 * PAGE, 131072 * PAGE)),
            ("65536", PAGE, Range(65536 * PAGE, 65536 * PAGE)),
            ("2G:2.2G", 1024, Range(2 << 30, 2306867 * 1024)),
            ("10485760:10485760", 1024, Range(10 << 30, 10 << 30)),
            ("14372700:14790164", 1, Range(14372700, 14790164)),
            ("0:unlimited", PAGE, Range(0, None)),
            ("unlimited", 1, Range(None, None)),
            ("9223372036854775807:9223372036854775807", 1, Range(None, None)),
            ("2P:2p", PAGE, Range(8192, 8192)),
            ("abc:def", 1, Range(None, None)),
            ("0:-5", PAGE, Range(0, None)),
            ("", 1, Range(None, None)),
        ],
    )
    def test_ranges(self, text: str, unit: int, expected: Range) -> None:
        assert parse_range({"X": text}, "X", unit) == expected

    def test_beancounters(self) -> None:
        found = parse_container(
            "101", 'NUMPROC="240:250"\nPHYSPAGES="0:1G"\nAVNUMPROC="1:1"\n', Paths()
        )
        assert found.facts.beancounters == (
            Beancounter(resource="numproc", barrier=240, limit=250),
            Beancounter(resource="physpages", barrier=0, limit=1 << 30),
        )

    @pytest.mark.parametrize(
        ("target", "ctid"),
        [
            ("/etc/vz/conf/101.conf", "101"),
            (f"/vz/private/{WEB}/ve.conf", WEB),
            ("../conf/101.conf", "101"),
            ("/etc/vz/conf/0.conf", ""),
            ("/etc/passwd", ""),
            ("ve.conf", ""),
            ("", ""),
        ],
    )
    def test_whose_a_link_is(self, target: str, ctid: str) -> None:
        assert ctid_of_link(target) == ctid


KEYS = st.sampled_from(
    ["PHYSPAGES", "DISKSPACE", "ONBOOT", "NAME", "IP_ADDRESS", "NETIF", "CPULIMIT"]
)
VALUES = st.text(max_size=20) | st.sampled_from(["1:2", "0:1.9G", "yes", "9" * 30, "ip=1.2.3.4/8"])


@given(st.lists(st.tuples(KEYS, VALUES)).map(lambda kv: "\n".join(f'{k}="{v}"' for k, v in kv)))
def test_any_configuration_is_parsed(text: str) -> None:
    found = parse_container("101", text, Paths())
    assert found.facts.ctid == "101"
    for counter in found.facts.beancounters:
        assert counter.held is None
        assert counter.limit is None or 0 <= counter.limit < 2**63


@given(st.text())
def test_any_text_is_parsed(text: str) -> None:
    assert isinstance(parse_parameters(text), dict)
    ctid_of_link(text)


def test_a_fifo_in_the_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    node = make_node(tmp_path, 4)
    (node / "etc/vz/conf/101.conf").unlink()
    os.mkfifo(node / "etc/vz/conf/101.conf")
    assert ConfigurationReader().read(host_of(node)).containers["101"].hostname == ""
