"""The rules on the network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collectors.facts import Listener, NetworkFacts, Publish
from tests.support.subjects import NGINX, evidence_of, run, subject


def tcp(*ports: int, address: str = "0.0.0.0") -> NetworkFacts:
    return NetworkFacts(
        listeners=tuple(Listener(protocol="tcp", address=address, port=port) for port in ports)
    )


def rules(network: NetworkFacts | None, mode: str = "own") -> set[str]:
    inside = replace(subject(NGINX, network=mode), network=network)
    return {name for name in evidence_of(inside) if name.startswith("network.")}


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (None, set()),
        (tcp(), set()),
        (tcp(80), {"network.one_port"}),
        (tcp(80, 443), set()),
        (tcp(80, 443, 8080), {"network.several_ports"}),
        (tcp(22), {"network.remote_login"}),
        (tcp(22, 80), {"network.remote_login"}),
        (tcp(80, address="127.0.0.1"), set()),
        (tcp(80, address="::ffff:127.0.0.1"), set()),
        (tcp(80, address="::1"), set()),
        (NetworkFacts(firewall_rules=3), {"network.firewall"}),
        (NetworkFacts(firewall_rules=0), set()),
    ],
)
def test_a_network_of_its_own(network: NetworkFacts | None, expected: set[str]) -> None:
    assert rules(network) == expected


@pytest.mark.parametrize(
    ("mode", "owner"), [("host", "the host"), ("container:/x", "another container")]
)
def test_a_shared_network_tells_nothing_else(mode: str, owner: str) -> None:
    network = replace(tcp(22, 80, 443), firewall_rules=9)
    inside = replace(subject(NGINX, network=mode), network=network)
    assert rules(network, mode) == {"network.shared"}
    assert evidence_of(inside)["network.shared"].sentence == f"it shares the network of {owner}"


@pytest.mark.parametrize(
    ("bounding", "expected"),
    [(0xA80425FB, set()), (0xA80435FB, {"network.firewall"}), (None, {"network.firewall"})],
)
def test_who_may_not_write_rules_has_none(bounding: int | None, expected: set[str]) -> None:
    inside = replace(
        subject(run("nginx", bounding=bounding)), network=NetworkFacts(firewall_rules=3)
    )
    assert {name for name in evidence_of(inside) if name.startswith("network.")} == expected


def test_forwarded_ports() -> None:
    inside = subject(NGINX, publishes=(Publish("0.0.0.0", 8080, 80, "tcp"),))
    assert evidence_of(inside)["network.published"].sentence == (
        "its engine forwards ports of the host to it: 80/tcp"
    )
