"""The rules that judge the surroundings: filesystem, network, provenance and lifecycle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.convention import expected_style
from agent.classifier.process_rules import listed, proc
from agent.classifier.rules import Hit, Rule
from agent.model import Axis, Style
from collectors.facts import State

if TYPE_CHECKING:
    from agent.classifier.scene import Scene

_DAY = 86400.0
_LONG = 30 * _DAY
_GROWN_BYTES = 256 << 20
_SSH, _TELNET = 22, 23
_REPLACED = 2 * _DAY


def _layered(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or not root.layered:
        return None
    return Hit({"fstype": root.fstype}, source=proc(scene, "mountinfo"))


def _own_disk(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or root.layered is not False:
        return None
    return Hit({"fstype": root.fstype or "a filesystem"}, source=proc(scene, "mountinfo"))


def _whole_system(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or not root.init_present:
        return None
    packages = f", with {root.packages} packages" if root.packages else ""
    return Hit(
        {"os": root.os_name or root.os_id or "a system", "packages": packages},
        source=proc(scene, "root/"),
    )


def _tiny_root(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or root.init_present or root.os_id or root.package_manager:
        return None
    return Hit(source=proc(scene, "root/")) if root.top_level else None


def _grown(scene: Scene) -> Hit | None:
    size = scene.subject.container.writable_layer_bytes
    if size is None or size < _GROWN_BYTES:
        return None
    return Hit({"size": size >> 20}, source="engine")


def _machine_id(scene: Scene) -> Hit | None:
    root = scene.subject.root
    if root is None or not root.machine_id or root.machine_id == scene.subject.host.machine_id:
        return None
    return Hit(source=proc(scene, "root/etc/machine-id"))


def _patched(scene: Scene) -> Hit | None:
    root, created = scene.subject.root, scene.subject.container.created
    if root is None or root.packages_changed is None or created is None:
        return None
    later = root.packages_changed - created
    if later < _DAY:
        return None
    return Hit(
        {"days": int(later / _DAY), "manager": root.package_manager},
        source=proc(scene, "root/var/lib"),
    )


FILESYSTEM = (
    Rule(
        name="filesystem.layered",
        axis=Axis.FILESYSTEM,
        weight=-0.3,
        when="The root is a writable layer over the layers of an image.",
        sentence="its root is {fstype} over image layers",
        detect=_layered,
    ),
    Rule(
        name="filesystem.own_disk",
        axis=Axis.FILESYSTEM,
        weight=0.3,
        when="The root is a disk, a subvolume or a directory of its own.",
        sentence="its root is a disk of its own ({fstype})",
        detect=_own_disk,
    ),
    Rule(
        name="filesystem.whole_system",
        axis=Axis.FILESYSTEM,
        weight=0.4,
        when="The root holds an operating system that could boot.",
        sentence="its root is a whole {os} that could boot{packages}",
        detect=_whole_system,
        cheap=True,
    ),
    Rule(
        name="filesystem.application_root",
        axis=Axis.FILESYSTEM,
        weight=-0.4,
        when="The root has no operating system in it: no os-release, packages or init.",
        sentence="its root holds no operating system, only what an application needs",
        detect=_tiny_root,
        cheap=True,
    ),
    Rule(
        name="filesystem.patched",
        axis=Axis.FILESYSTEM,
        weight=0.5,
        when="Packages changed a day or more after the container was made.",
        sentence="it was patched in place: {manager} changed {days} days after it was made",
        detect=_patched,
        cheap=True,
    ),
    Rule(
        name="filesystem.grown",
        axis=Axis.FILESYSTEM,
        weight=0.2,
        when="Its writable layer holds 256 MiB or more.",
        sentence="{size} MiB were written into its own layer",
        detect=_grown,
        cheap=True,
    ),
    Rule(
        name="filesystem.machine_id",
        axis=Axis.FILESYSTEM,
        weight=0.1,
        when="It has a machine id of its own, as a booted system makes one.",
        sentence="it has a machine id of its own",
        detect=_machine_id,
        cheap=True,
    ),
)


def _own_ports(scene: Scene) -> frozenset[int]:
    """Give the TCP ports on which others can reach it, where its network is its own."""
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


def _remote_login(scene: Scene) -> Hit | None:
    ports = _own_ports(scene) & {_SSH, _TELNET}
    return Hit({"port": min(ports)}, source=proc(scene, "net/tcp")) if ports else None


def _several_ports(scene: Scene) -> Hit | None:
    ports = _own_ports(scene)
    if len(ports) < 3:
        return None
    return Hit({"ports": listed(map(str, ports))}, source=proc(scene, "net/tcp"))


def _one_port(scene: Scene) -> Hit | None:
    ports = _own_ports(scene) - {_SSH, _TELNET}
    if len(ports) != 1 or _own_ports(scene) != ports:
        return None
    return Hit({"port": min(ports)}, source=proc(scene, "net/tcp"))


def _published(scene: Scene) -> Hit | None:
    ports = [f"{p.container_port}/{p.protocol}" for p in scene.subject.container.publishes]
    return Hit({"ports": listed(ports)}, source="engine") if ports else None


def _shared_network(scene: Scene) -> Hit | None:
    network = scene.subject.container.network
    if network == "host" or network.startswith("container:"):
        whose = "the host" if network == "host" else "another container"
        return Hit({"whose": whose}, source=proc(scene, "ns/net"))
    return None


def _firewall(scene: Scene) -> Hit | None:
    network = scene.subject.network
    if network is None or scene.subject.container.network != "own" or not network.firewall_rules:
        return None
    return Hit({"count": network.firewall_rules}, source=proc(scene, "net"))


NETWORK = (
    Rule(
        name="network.remote_login",
        axis=Axis.NETWORK,
        weight=0.3,
        when="It listens for ssh or telnet on a network of its own.",
        sentence="it can be logged into from the network (port {port})",
        detect=_remote_login,
    ),
    Rule(
        name="network.several_ports",
        axis=Axis.NETWORK,
        weight=0.3,
        when="It listens on three or more TCP ports of a network of its own.",
        sentence="it listens on several ports of its own address: {ports}",
        detect=_several_ports,
    ),
    Rule(
        name="network.one_port",
        axis=Axis.NETWORK,
        weight=-0.2,
        when="It listens on exactly one TCP port, and not for logins.",
        sentence="it listens on one port, {port}",
        detect=_one_port,
    ),
    Rule(
        name="network.published",
        axis=Axis.NETWORK,
        weight=-0.3,
        when="An engine forwards ports of the host into it.",
        sentence="ports of the host are forwarded to it: {ports}",
        detect=_published,
    ),
    Rule(
        name="network.shared",
        axis=Axis.NETWORK,
        weight=-0.3,
        when="It has no network of its own.",
        sentence="it shares the network of {whose}",
        detect=_shared_network,
    ),
    Rule(
        name="network.firewall",
        axis=Axis.NETWORK,
        weight=0.4,
        when="It keeps a firewall of its own.",
        sentence="it keeps a firewall of its own ({count} rules)",
        detect=_firewall,
    ),
)

_ORCHESTRATED = (
    "com.docker.compose.project",
    "io.kubernetes.pod.name",
    "com.docker.swarm.service.name",
)
_BUILT = ("org.opencontainers.image.", "org.label-schema.")
_BOOTS = frozenset({"init", "systemd", "openrc-init", "runit-init", "runit"})


def _convention_app(scene: Scene) -> Hit | None:
    container = scene.subject.container
    if expected_style(container.engine, container.boots) is not Style.APP:
        return None
    return Hit({"engine": container.engine}, source="engine")


def _convention_system(scene: Scene) -> Hit | None:
    container = scene.subject.container
    if expected_style(container.engine, container.boots) is not Style.SYSTEM:
        return None
    return Hit({"engine": container.engine}, source="engine")


def _infra(scene: Scene) -> Hit | None:
    return Hit(source="engine") if scene.subject.container.role == "infra" else None


def _orchestrated(scene: Scene) -> Hit | None:
    labels = scene.subject.container.labels
    names = [label for label in _ORCHESTRATED if label in labels]
    return Hit({"labels": listed(names)}, source="labels") if names else None


def _registry(scene: Scene) -> Hit | None:
    image = scene.subject.container.image_facts
    if image is None or not (image.digests or any(k.startswith(_BUILT) for k in image.labels)):
        return None
    return Hit({"image": image.reference or "its image"}, source="engine")


def command_boots(command: tuple[str, ...]) -> bool:
    """Say whether an engine was told to start an init."""
    return bool(command) and command[0].rpartition("/")[2] in _BOOTS


def _commanded(scene: Scene) -> tuple[str, ...]:
    container = scene.subject.container
    if container.command:
        return container.command
    image = container.image_facts
    return (*image.entrypoint, *image.command) if image else ()


def _told_to_boot(scene: Scene) -> Hit | None:
    command = _commanded(scene)
    if not (scene.subject.container.boots or command_boots(command)):
        return None
    what = f"start {command[0]}" if command else "boot it"
    return Hit({"what": what}, 0.3 if scene.seen else 1.0, "engine")


def _told_to_run(scene: Scene) -> Hit | None:
    command, boots = _commanded(scene), scene.subject.container.boots
    if boots or command_boots(command) or (boots is None and not command):
        return None
    what = command[0] if command else "one program"
    return Hit({"what": what}, 0.3 if scene.seen else 1.0, "engine")


def _server_name(scene: Scene) -> Hit | None:
    hostname = scene.subject.container.hostname
    return Hit({"hostname": hostname}, source="engine") if "." in hostname.strip(".") else None


def _template(scene: Scene) -> Hit | None:
    facts = scene.subject.container.openvz
    if facts is None:
        return None
    return Hit({"template": facts.ostemplate or "an OS template"}, source="vzlist")


PROVENANCE = (
    Rule(
        name="provenance.application_engine",
        axis=Axis.PROVENANCE,
        weight=-0.4,
        when="Its engine is made for applications (docker, podman, containerd, …): a prior.",
        sentence="{engine} is made for applications",
        detect=_convention_app,
    ),
    Rule(
        name="provenance.system_engine",
        axis=Axis.PROVENANCE,
        weight=0.4,
        when="Its engine is made for small servers (lxc, openvz, nspawn --boot, …): a prior.",
        sentence="{engine} is made for small servers",
        detect=_convention_system,
    ),
    Rule(
        name="provenance.infra",
        axis=Axis.PROVENANCE,
        weight=-2.0,
        when="It only holds a pod's namespaces.",
        sentence="it only holds the namespaces of a pod",
        detect=_infra,
    ),
    Rule(
        name="provenance.orchestrated",
        axis=Axis.PROVENANCE,
        weight=-0.4,
        when="Labels of Compose, Swarm or Kubernetes.",
        sentence="an orchestrator placed it ({labels})",
        detect=_orchestrated,
        cheap=True,
    ),
    Rule(
        name="provenance.registry",
        axis=Axis.PROVENANCE,
        weight=-0.3,
        when="Its image has a registry digest or build metadata.",
        sentence="{image} was built and published as an image",
        detect=_registry,
        cheap=True,
    ),
    Rule(
        name="provenance.told_to_boot",
        axis=Axis.PROVENANCE,
        weight=1.2,
        when="The engine was told to start an init; 30 % once it is seen what was started.",
        sentence="the engine was told to {what}",
        detect=_told_to_boot,
    ),
    Rule(
        name="provenance.told_to_run",
        axis=Axis.PROVENANCE,
        weight=-0.4,
        when="The engine was told which program to run; 30 % once it is seen what runs.",
        sentence="the engine was told to run {what}",
        detect=_told_to_run,
    ),
    Rule(
        name="provenance.server_name",
        axis=Axis.PROVENANCE,
        weight=0.1,
        when="Its hostname has a domain, as a server's.",
        sentence="it is called like a server: {hostname}",
        detect=_server_name,
        cheap=True,
    ),
    Rule(
        name="provenance.template",
        axis=Axis.PROVENANCE,
        weight=0.4,
        when="OpenVZ made it from an OS template, with a server's quotas.",
        sentence="it was made from {template}, with the quotas of a server",
        detect=_template,
    ),
)


def _old(scene: Scene) -> Hit | None:
    container = scene.subject.container
    if container.started is None or container.state is not State.RUNNING:
        return None
    age = scene.subject.now - container.started
    return Hit({"days": int(age / _DAY)}, source="engine") if age >= _LONG else None


def _kept(scene: Scene) -> Hit | None:
    container = scene.subject.container
    if container.started is None or container.created is None:
        return None
    later = container.started - container.created
    return Hit({"days": int(later / _DAY)}, source="engine") if later >= _LONG else None


def _restarted(scene: Scene) -> Hit | None:
    restarts = scene.subject.container.restarts
    return Hit({"count": restarts}, source="engine") if restarts else None


def _replaced(scene: Scene) -> Hit | None:
    container = scene.subject.container
    image = container.image_facts
    if image is None or image.created is None or container.created is None or not image.digests:
        return None
    if not 0 <= container.created - image.created <= _REPLACED:
        return None
    return Hit(source="engine")


def _throwaway(scene: Scene) -> Hit | None:
    return Hit(source="engine") if scene.subject.container.auto_remove else None


LIFECYCLE = (
    Rule(
        name="lifecycle.long_running",
        axis=Axis.LIFECYCLE,
        weight=0.2,
        when="It has run for a month or more.",
        sentence="it has run for {days} days",
        detect=_old,
    ),
    Rule(
        name="lifecycle.repaired",
        axis=Axis.LIFECYCLE,
        weight=0.2,
        when="It was started again a month or more after it was made: kept, not replaced.",
        sentence="it was kept and started again {days} days after it was made",
        detect=_kept,
    ),
    Rule(
        name="lifecycle.restarted",
        axis=Axis.LIFECYCLE,
        weight=-0.1,
        when="Its engine started it again when it ended.",
        sentence="its engine has started it again {count} times",
        detect=_restarted,
    ),
    Rule(
        name="lifecycle.replaced",
        axis=Axis.LIFECYCLE,
        weight=-0.2,
        when="It was made within two days of its published image: replaced with every build.",
        sentence="it was made as soon as its image was built",
        detect=_replaced,
    ),
    Rule(
        name="lifecycle.throwaway",
        axis=Axis.LIFECYCLE,
        weight=-0.4,
        when="The engine removes it when it ends.",
        sentence="it is thrown away when it ends",
        detect=_throwaway,
    ),
)
