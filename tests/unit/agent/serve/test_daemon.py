from __future__ import annotations

from agent.config import load
from agent.serve.daemon import page_options


def test_the_page_has_the_groups_that_are_switched_on() -> None:
    options = page_options(
        load("", {"collector.tcp.enabled": True, "collector.cpu.enabled": False})
    )
    assert "tcp" in options.groups
    assert "cpu" not in options.groups


def test_the_page_is_what_the_configuration_says() -> None:
    flags = {
        "metrics.cadvisor_names": False,
        "metrics.container_labels": ["team"],
        "containers.max_series": 2000,
        "containers.retention": "1m",
    }
    options = page_options(load("", flags))
    assert not options.shows("container_last_seen")
    assert options.container_labels == ("team",)
    assert (options.max_series, options.retention) == (2000, 60.0)
