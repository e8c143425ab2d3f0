"""The configuration of containers, and what the disk says of those that do not run."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.openvz.config import ConfigurationReader, parse_container
from collectors.engines.openvz.discovery import Paths
from collectors.facts import Beancounter
from tests.support.openvz_node import STOPPED, WEB, host_of, make_node, remove

PAGE = 4096


class TestNodes:
    def test_containers_of_4(self, tree4: Path) -> None:
        configuration = ConfigurationReader().read(host_of(tree4))
        assert set(configuration.containers) == {
            *("101", "102", "103", "104", "105", "106", "110", "777", "1000000001")
        }
        assert configuration.names == {"101": "web01", "103": "db01"}
        web = configuration.containers["101"]
        assert (web.hostname, web.private) == ("web01.example.com", "/vz/private/101")
        facts = web.facts
        assert facts.ostemplate == "debian-12-x86_64"
        assert facts.configured_addresses == ("192.0.2.11", "192.0.2.111", "2001:db8::11")
        assert (facts.onboot, facts.cpus) == (True, 2)
        assert facts.disk_hard_bytes == 2306867 * 1024
        assert facts.swap_limit_bytes == 1 << 30
        assert facts.io_limit_operations_per_second == 500
        assert configuration.containers["102"].facts.cpu_limit_ratio == 0.5

    def test_containers_of_7_have_it_in_their_private_area(self, tree7: Path) -> None:
        configuration = ConfigurationReader().read(host_of(tree7))
        assert WEB in configuration.containers
        assert configuration.name_of(STOPPED) == "db 01"
        web = configuration.containers[WEB].facts
        assert web.configured_addresses == ("192.0.2.11", "2001:db8::11", "10.0.0.5")
        assert web.cpu_limit_ratio == 2.0
        assert web.ostemplate == "debian-12-x86_64"

    def test_a_link_to_nothing_is_no_configuration(self, tree7: Path) -> None:
        remove(tree7 / "vz" / "private" / WEB)
        assert WEB not in ConfigurationReader().read(host_of(tree7)).containers

    def test_a_name_that_is_not_linked_does_not_count(self, tree4: Path) -> None:
        remove(tree4 / "etc" / "vz" / "names" / "web01")
        configuration = ConfigurationReader().read(host_of(tree4))
        assert configuration.containers["101"].name == "web01"
        assert configuration.name_of("101") == ""

    def test_without_the_directory_of_names_the_parameter_counts(self, tree4: Path) -> None:
        remove(tree4 / "etc" / "vz" / "names")
        assert ConfigurationReader().read(host_of(tree4)).name_of("101") == "web01"

    def test_no_configuration_at_all(self, tree4: Path) -> None:
        remove(tree4 / "etc")
        configuration = ConfigurationReader().read(host_of(tree4))
        assert configuration.containers == {}
        assert not configuration.lacks("101")

    def test_other_files_are_no_containers(self, tree4: Path) -> None:
        directory = tree4 / "etc" / "vz" / "conf"
        for name in ("-5.conf", "0.conf", "ve-basic.conf-sample", "120.conf.destroyed", "x.conf"):
            (directory / name).write_text('HOSTNAME="x"\n')
        configuration = ConfigurationReader().read(host_of(tree4))
        assert len(configuration.containers) == 9
        assert configuration.lacks("120")

    def test_a_file_that_changes_is_read_again(self, tree4: Path) -> None:
        reader, host = ConfigurationReader(), host_of(tree4)
        path = tree4 / "etc" / "vz" / "conf" / "101.conf"
        assert reader.read(host).containers["101"].hostname == "web01.example.com"
        path.unlink()
        path.write_text('HOSTNAME="other.example.com"\n')
        assert reader.read(host, full=False).containers["101"].hostname == "web01.example.com"
        assert reader.read(host).containers["101"].hostname == "other.example.com"

    def test_a_light_pass_sees_what_is_new_and_gone(self, tree4: Path) -> None:
        reader, host = ConfigurationReader(), host_of(tree4)
        reader.read(host)
        directory = tree4 / "etc" / "vz" / "conf"
        (directory / "101.conf").unlink()
        (directory / "120.conf").write_text('HOSTNAME="new"\n')
        configuration = reader.read(host, full=False).containers
        assert "101" not in configuration
        assert configuration["120"].hostname == "new"

    def test_a_file_too_large_leaves_its_container_unnamed(self, tree4: Path) -> None:
        (tree4 / "etc" / "vz" / "conf" / "101.conf").unlink()
        (tree4 / "etc" / "vz" / "conf" / "101.conf").write_text('HOSTNAME="x"\n' * 10_000)
        host = host_of(tree4)
        assert ConfigurationReader().read(host).containers["101"].hostname == ""
        assert host.tally.malformed.total() == 1


def test_beancounters() -> None:
    configuration = parse_container(
        "101", 'NUMPROC="240:250"\nPHYSPAGES="0:1G"\nAVNUMPROC="1:1"\n', Paths()
    )
    assert configuration.facts.beancounters == (
        Beancounter(resource="numproc", barrier=240, limit=250),
        Beancounter(resource="physpages", barrier=0, limit=1 << 30),
    )


KEYS = st.sampled_from(
    ["PHYSPAGES", "DISKSPACE", "ONBOOT", "NAME", "IP_ADDRESS", "NETIF", "CPULIMIT"]
)
VALUES = st.text(max_size=20) | st.sampled_from(["1:2", "0:1.9G", "yes", "9" * 30, "ip=1.2.3.4/8"])


@given(st.lists(st.tuples(KEYS, VALUES)).map(lambda kv: "\n".join(f'{k}="{v}"' for k, v in kv)))
def test_any_configuration_is_parsed(text: str) -> None:
    configuration = parse_container("101", text, Paths())
    assert configuration.facts.ctid == "101"
    for counter in configuration.facts.beancounters:
        assert counter.held is None
        assert counter.limit is None or 0 <= counter.limit < 2**63


def test_a_fifo_in_the_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    node = make_node(tmp_path, 4)
    (node / "etc/vz/conf/101.conf").unlink()
    os.mkfifo(node / "etc/vz/conf/101.conf")
    assert ConfigurationReader().read(host_of(node)).containers["101"].hostname == ""
