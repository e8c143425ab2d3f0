"""What an operator may switch on and off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.exposition import Options
from agent.metrics import DEFAULT_GROUPS
from tests.support.page_host import BASE, Host, running

if TYPE_CHECKING:
    from pathlib import Path


def test_without_cadvisors_names(tmp_path: Path) -> None:
    page = Host(tmp_path, Options(cadvisor_names=False)).show(running(), complete=True)
    assert not [n for n in page if n.startswith(("container_", "machine_", "cadvisor_"))]
    assert "tallyman_container_info" in page
    assert "tallyman_host_memory_bytes" in page


def test_a_group_that_is_off_is_not_shown(tmp_path: Path) -> None:
    page = Host(tmp_path, Options(groups=DEFAULT_GROUPS - {"memory"})).show(running())
    assert "container_memory_usage_bytes" not in page
    assert "container_cpu_usage_seconds_total" in page


def test_a_group_that_is_dear_is_shown_when_named(tmp_path: Path) -> None:
    host = Host(tmp_path, Options(groups=DEFAULT_GROUPS | {"memory_detail", "tcp"}))
    (tmp_path / "proc/7/net/tcp").write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue\n"
        "   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0\n"
    )
    page = host.show(running())
    assert page["container_memory_total_inactive_file_bytes"][BASE] == 24
    listening = (*BASE, ("tcp_state", "listen"))
    assert page["container_network_tcp_usage_total"][listening] == 1
    assert "container_network_tcp6_usage_total" not in page
