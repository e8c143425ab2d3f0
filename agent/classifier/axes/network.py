"""Whether its network is like that of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.rules import Hit, RuleSet
from agent.classifier.wording import listed, plural, proc
from agent.model import Axis

if TYPE_CHECKING:
    from agent.classifier.scene import Scene

_SSH, _TELNET = 22, 23
_NET_ADMIN = 1 << 12  # CAP_NET_ADMIN, capabilities(7)

RULES = RuleSet(Axis.NETWORK)


def _own_ports(scene: Scene) -> frozenset[int]:
    """Return the TCP ports on which others can reach it, where its network is its own."""
    network = scene.subject.network
    if network is None or scene.subject.container.network != "own":
        return frozenset()
    return frozenset(
        listener.port
        for listener in network.listeners
        if listener.protocol.startswith("tcp")
        and not listener.address.removeprefix("::ffff:").startswith("127.")
        and listener.address != "::1"
    )


@RULES.rule(
    "network.remote_login",
    0.3,
    when="It listens for SSH or telnet on a network of its own.",
    sentence="it accepts logins from the network (port {port})",
)
def _remote_login(scene: Scene) -> Hit | None:
    ports = _own_ports(scene) & {_SSH, _TELNET}
    return Hit({"port": min(ports)}, source=proc(scene, "net/tcp")) if ports else None


@RULES.rule(
    "network.several_ports",
    0.3,
    when="It listens on three or more TCP ports of a network of its own.",
    sentence="it listens on several ports of its own network: {ports}",
)
def _several_ports(scene: Scene) -> Hit | None:
    ports = _own_ports(scene)
    if len(ports) < 3:
        return None
    return Hit({"ports": listed(map(str, ports))}, source=proc(scene, "net/tcp"))


@RULES.rule(
    "network.one_port",
    -0.2,
    when="It listens on exactly one TCP port of a network of its own, and not for logins.",
    sentence="it listens on one port only, {port}",
)
def _one_port(scene: Scene) -> Hit | None:
    ports = _own_ports(scene) - {_SSH, _TELNET}
    if len(ports) != 1 or _own_ports(scene) != ports:
        return None
    return Hit({"port": min(ports)}, source=proc(scene, "net/tcp"))


@RULES.rule(
    "network.published",
    -0.3,
    when="Its engine forwards ports of the host to it.",
    sentence="its engine forwards ports of the host to it: {ports}",
)
def _published(scene: Scene) -> Hit | None:
    ports = [f"{p.container_port}/{p.protocol}" for p in scene.subject.container.publishes]
    return Hit({"ports": listed(ports)}, source="engine") if ports else None


@RULES.rule(
    "network.shared",
    -0.3,
    when="It has no network of its own.",
    sentence="it shares the network of {owner}",
)
def _shared_network(scene: Scene) -> Hit | None:
    network = scene.subject.container.network
    if network == "host" or network.startswith("container:"):
        owner = "the host" if network == "host" else "another container"
        return Hit({"owner": owner}, source=proc(scene, "ns/net"))
    return None


def _may_write_rules(scene: Scene) -> bool:
    """Return whether a process of it may write firewall rules, as far as is known.

    Where none may, somebody else has: its engine, an orchestrator, a service mesh.
    """
    own = (p for p in scene.subject.processes if p.pid not in scene.subject.entered_from_outside)
    return any(p.bounding is None or p.bounding & _NET_ADMIN for p in own)


@RULES.rule(
    "network.firewall",
    0.4,
    when="It has firewall rules of its own: not those that its engine writes in its network, and "
    "only where a process of it may write some (CAP_NET_ADMIN).",
    sentence="it has a firewall of its own ({rules})",
)
def _firewall(scene: Scene) -> Hit | None:
    network = scene.subject.network
    if network is None or scene.subject.container.network != "own" or not network.firewall_rules:
        return None
    if not _may_write_rules(scene):
        return None
    return Hit({"rules": plural(network.firewall_rules, "rule")}, source=proc(scene, "net"))
