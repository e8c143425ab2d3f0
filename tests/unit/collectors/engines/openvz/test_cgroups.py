from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.engines.openvz.cgroups import ContainerCgroups, parent_cgroup
from collectors.engines.openvz.inits import find_inits
from collectors.kernel.processes import ProcessReader
from tests.support.openvz_node import PAUSED, STOPPED, WEB, context, host_of, make_node

if TYPE_CHECKING:
    from collectors.hostfs import HostFS


class TestNode4:
    @pytest.fixture
    def host(self, tmp_path: Path) -> HostFS:
        return host_of(make_node(tmp_path, 4))

    def test_where_containers_are_put(self, host: HostFS) -> None:
        inits = find_inits(ProcessReader(host).read())
        assert parent_cgroup(inits.values(), 6) == ""


class TestNode7:
    @pytest.fixture
    def node(self, tmp_path: Path) -> Path:
        return make_node(tmp_path, 7)

    def test_cgroups(self, node: Path) -> None:
        ctx = context(node)
        groups = ContainerCgroups(ctx.host, ctx.facts.cgroups.hierarchies)
        assert STOPPED in groups.ctids()
        web = groups.view(WEB)
        assert (web.path, web.frozen, web.running) == (f"/machine.slice/{WEB}", False, True)
        assert (web.facts.cpu_limit_ratio, web.facts.cpus, web.facts.cpu_units) == (2.0, 2, 1000)
        assert web.facts.load == (0.08, 0.10, 0.05)
        assert web.facts.io_limit_bytes_per_second == 10485760
        assert web.facts.io_limit_operations_per_second == 500
        assert groups.view(PAUSED).frozen is True
        assert groups.view(STOPPED).running is False

    def test_cgroups_where_no_hierarchy_was_found(self, node: Path) -> None:
        groups = ContainerCgroups(host_of(node), {})
        assert groups.view(WEB).facts.cpu_limit_ratio == 2.0
        assert groups.view("424242").path == ""

    def test_cgroups_of_the_first_releases_are_at_the_top(self, node: Path) -> None:
        top = node / "sys/fs/cgroup/cpu,cpuacct"
        (top / "machine.slice" / WEB).rename(top / WEB)
        assert ContainerCgroups(host_of(node), {}).view(WEB).path == f"/{WEB}"

    def test_where_containers_are_put(self, node: Path) -> None:
        inits = find_inits(ProcessReader(host_of(node)).read())
        assert parent_cgroup(inits.values(), 7) == "/machine.slice"
        assert parent_cgroup([], 7) == "/machine.slice"
        assert parent_cgroup([], 6) is None
