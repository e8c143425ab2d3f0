"""Where it comes from: engine, image, orchestrator, operating system template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.convention import expected_style, made_for
from agent.classifier.rules import Hit, RuleSet
from agent.classifier.wording import listed
from agent.classifier.workshop import declared_workshop
from agent.model import Axis, Style
from collectors.catalogue import MadeFor

if TYPE_CHECKING:
    from agent.classifier.rules import Detector
    from agent.classifier.scene import Scene

_ORCHESTRATED = (
    "com.docker.compose.project",
    "io.kubernetes.pod.name",
    "com.docker.swarm.service.name",
)
_BUILT = ("org.opencontainers.image.", "org.label-schema.")
_INITS = frozenset({"init", "systemd", "openrc-init", "runit-init", "runit"})

RULES = RuleSet(Axis.PROVENANCE)


_BY_NATURE = {MadeFor.APP: "is made for applications", MadeFor.SYSTEM: "is made for small servers"}
_AS_TOLD = {
    Style.APP: "was told to run a program, not to boot a system",
    Style.SYSTEM: "was told to boot a system",
}


def _expects(style: Style, kind: MadeFor) -> Detector:
    """Return the detector of an engine that is made for one style, or was told to run it."""

    def detect(scene: Scene) -> Hit | None:
        engine, boots = scene.subject.container.engine, scene.subject.container.boots
        if expected_style(engine, boots) is not style:
            return None
        why = _BY_NATURE[kind] if made_for(engine) is kind else _AS_TOLD[style]
        return Hit({"engine": engine, "why": why}, source="engine")

    return detect


RULES.rule(
    "provenance.application_engine",
    -0.4,
    when="Its engine is made for applications (docker, podman, containerd, …), or was told to run "
    "a program where it could boot a system (`lxc.init.cmd`, lxc-execute, an OCI image in LXC, "
    "Incus or Proxmox, nspawn without `--boot`): a prior.",
    sentence="{engine} {why}",
)(_expects(Style.APP, MadeFor.APP))


RULES.rule(
    "provenance.system_engine",
    0.4,
    when="Its engine is made for small servers (lxc, openvz, …) and was not told to run a "
    "program, or was told to boot one (nspawn `--boot`): a prior.",
    sentence="{engine} {why}",
)(_expects(Style.SYSTEM, MadeFor.SYSTEM))


@RULES.rule(
    "provenance.infra",
    -2.0,
    when="It only holds a pod's namespaces.",
    sentence="it only holds the namespaces of a pod",
)
def _infra(scene: Scene) -> Hit | None:
    return Hit(source="engine") if scene.subject.container.role == "infra" else None


@RULES.rule(
    "provenance.orchestrated",
    -0.4,
    when="It has labels of Compose, Swarm or Kubernetes.",
    sentence="an orchestrator created it ({labels})",
    cheap=True,
)
def _orchestrated(scene: Scene) -> Hit | None:
    labels = scene.subject.container.labels
    names = [label for label in _ORCHESTRATED if label in labels]
    return Hit({"labels": listed(names)}, source="labels") if names else None


@RULES.rule(
    "provenance.registry",
    -0.3,
    when="Its image has a registry digest or build metadata.",
    sentence="its image has a registry digest or build metadata ({image})",
    cheap=True,
)
def _registry(scene: Scene) -> Hit | None:
    image = scene.subject.container.image_facts
    if image is None or not (image.digests or any(k.startswith(_BUILT) for k in image.labels)):
        return None
    return Hit({"image": image.reference or "its name is not known"}, source="engine")


@RULES.rule(
    "provenance.workshop",
    -10.0,
    when="It was made as one person's workshop (Toolbx, Distrobox, a dev container, a CI job): it "
    "has the labels of that, and a home directory or the job's files of the host mounted.",
    sentence="it is {kind}: one person's tools over their own files",
)
def _workshop(scene: Scene) -> Hit | None:
    kind = declared_workshop(scene.subject.container)
    return Hit({"kind": kind}, source="labels and mounts") if kind else None


def _commanded(scene: Scene) -> tuple[str, ...]:
    container = scene.subject.container
    if container.command:
        return container.command
    image = container.image_facts
    return (*image.entrypoint, *image.command) if image else ()


def _boots(command: tuple[str, ...]) -> bool:
    """Return whether a command starts an init."""
    return bool(command) and command[0].rpartition("/")[2] in _INITS


@RULES.rule(
    "provenance.told_to_boot",
    1.2,
    when="Its engine is configured to start an init: 30 % of the weight when processes are seen, "
    "none when a service manager is seen as its first process.",
    sentence="its engine is configured to {what}",
)
def _told_to_boot(scene: Scene) -> Hit | None:
    command = _commanded(scene)
    if not (scene.subject.container.boots or _boots(command)) or scene.managed:
        return None
    what = f"start {command[0]}" if _boots(command) else "boot it"
    return Hit({"what": what}, 0.3 if scene.seen else 1.0, "engine")


@RULES.rule(
    "provenance.told_to_run",
    -0.4,
    when="Its engine is configured to run a program that is not an init: 30 % of the weight when "
    "processes are seen.",
    sentence="its engine is configured to run {what}",
)
def _told_to_run(scene: Scene) -> Hit | None:
    command, boots = _commanded(scene), scene.subject.container.boots
    if boots or _boots(command) or (boots is None and not command):
        return None
    what = command[0] if command else "one program"
    return Hit({"what": what}, 0.3 if scene.seen else 1.0, "engine")


@RULES.rule(
    "provenance.server_name",
    0.1,
    when="Its hostname includes a domain, as that of a server does.",
    sentence="its hostname includes a domain, as that of a server does: {hostname}",
    cheap=True,
)
def _server_name(scene: Scene) -> Hit | None:
    hostname = scene.subject.container.hostname
    return Hit({"hostname": hostname}, source="engine") if "." in hostname.strip(".") else None


@RULES.rule(
    "provenance.template",
    0.4,
    when="OpenVZ created it from an operating system template.",
    sentence="OpenVZ created it from {template}",
)
def _template(scene: Scene) -> Hit | None:
    facts = scene.subject.container.openvz
    if facts is None:
        return None
    return Hit({"template": facts.ostemplate or "an operating system template"}, source="vzlist")
