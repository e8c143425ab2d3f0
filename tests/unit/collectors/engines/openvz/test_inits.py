from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.engines.openvz.inits import find_inits, starts_a_system
from collectors.facts import ProcessTable
from collectors.kernel.processes import ProcessReader
from tests.support.openvz_node import WEB, host_of, make_node
from tests.support.processes import process, table

if TYPE_CHECKING:
    from collectors.hostfs import HostFS


class TestOfANode4:
    @pytest.fixture
    def host(self, tmp_path: Path) -> HostFS:
        return host_of(make_node(tmp_path, 4))

    def test_inits(self, host: HostFS) -> None:
        inits = find_inits(ProcessReader(host).read())
        assert {ctid: init.pid for ctid, init in inits.items()} == {
            "101": 4000,
            "102": 4100,
            "777": 4200,
            "999": 4300,
            "1000000001": 4400,
        }
        assert starts_a_system(inits["101"])
        assert not starts_a_system(inits["777"])


class TestOfANode7:
    @pytest.fixture
    def node(self, tmp_path: Path) -> Path:
        return make_node(tmp_path, 7)

    def test_inits_are_not_those_of_containers_inside(self, node: Path) -> None:
        host = host_of(node)
        inits = find_inits(ProcessReader(host).read())
        assert inits[WEB].pid == 5100
        assert starts_a_system(inits[WEB])


class TestInits:
    def test_with_the_numbers_of_newer_kernels(self) -> None:
        entered = process(50, envid="101", ns_pids=(50, 9))
        init = process(60, envid="101", ns_pids=(60, 1))
        nested = process(70, 60, envid="101", ns_pids=(70, 30, 1))
        found = find_inits(table(entered, init, nested))
        assert found == {"101": init}

    def test_without_any_inner_number_the_first_one_is_it(self) -> None:
        entered = process(70, envid="101", ns_pids=())
        init = process(60, envid="101", ns_pids=())
        assert find_inits(table(entered, init)) == {"101": init}

    @pytest.mark.parametrize("envid", ["0", "", None, "../x", "-5", "1e3"])
    def test_what_is_no_container_is_left_out(self, envid: str | None) -> None:
        assert find_inits(table(process(60, envid=envid))) == {}

    def test_no_processes(self) -> None:
        assert find_inits(ProcessTable(by_pid={})) == {}
