"""Samples about the agent and the machine."""

from __future__ import annotations

from agent.model import CollectorHealth
from tests.support.page_host import Host, running


def test_the_host_is_under_the_root_id(host: Host) -> None:
    page = host.show(running())
    root = (("id", "/"), ("image", ""), ("name", ""))
    assert page["container_memory_usage_bytes"][root] == 900 << 10
    assert page["container_cpu_usage_seconds_total"][("cpu", "total"), *root] == 1
    assert page["machine_cpu_cores"] == {(("boot_id", "b"),): 4}


def test_health_of_collectors(host: Host) -> None:
    health = CollectorHealth(
        name="docker", success=False, duration_seconds=0.5, last_success=900.0, denied=2
    )
    page = host.show(collectors=(health,))
    labels = (("collector", "docker"),)
    assert page["tallyman_collector_success"][labels] == 0
    assert page["tallyman_collector_denied_total"][labels] == 2
    assert page["tallyman_collector_last_success_timestamp_seconds"][labels] == 900
    assert page["tallyman_inventory_age_seconds"] == {(): 10}


def test_the_daemons_of_engines(host: Host) -> None:
    health = CollectorHealth(
        name="docker",
        success=True,
        duration_seconds=0.5,
        last_success=900.0,
        daemons={("docker", "/run/docker.sock"): True, ("docker", "/two"): False},
    )
    page = host.show(collectors=(health,))
    assert page["tallyman_engine_up"] == {
        (("engine", "docker"), ("engine_instance", "/run/docker.sock")): 1,
        (("engine", "docker"), ("engine_instance", "/two")): 0,
    }
