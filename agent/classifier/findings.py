"""Findings: practices to look at, each with what it means and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.classifier.convention import expected_style, made_for
from agent.classifier.judge import SURE
from agent.classifier.scene import InitKind
from agent.classifier.wording import application_names, listed
from agent.classifier.workshop import workshop
from agent.model import Finding, Severity, Style
from collectors.catalogue import MadeFor

if TYPE_CHECKING:
    from agent.classifier.scene import Scene
    from agent.model import Verdict

_DAY = 86400.0
_BLOATED_BYTES = 1 << 30
_STALE_DAYS = 180
_MANY_ZOMBIES = 3
_LIMITED = frozenset({"memory", "cpu", "pids"})


Detector = Callable[["Scene", "Verdict"], str | None]
"""Returns the finding's sentence for one container; None where it does not apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingKind:
    """What a finding means, in whichever container it is found."""

    name: str
    severity: Severity
    title: str
    means: str
    matters: str
    advice: str
    detect: Detector


_kinds: list[FindingKind] = []


def _finding(
    name: str, severity: Severity, *, title: str, means: str, matters: str, advice: str
) -> Callable[[Detector], Detector]:
    """Make the decorated function the detector of a new kind of finding."""

    def register(detect: Detector) -> Detector:
        _kinds.append(
            FindingKind(
                name=name,
                severity=severity,
                title=title,
                means=means,
                matters=matters,
                advice=advice,
                detect=detect,
            )
        )
        return detect

    return register


def _expected(scene: Scene) -> Style:
    container = scene.subject.container
    return expected_style(container.engine, container.boots)


@_finding(
    "docker_as_vm",
    Severity.WARNING,
    title="A server in an application engine",
    means="An engine that is made for applications runs a small server: a service manager or "
    "several unrelated services.",
    matters="Such a container is patched, backed up and logged into like a server, but its "
    "engine may replace it at any time, and it is not isolated like a virtual machine: it shares "
    "the kernel of the host.",
    advice="Split it into one container per service, or move it to LXC, Incus or a virtual "
    "machine.",
)
def _server(scene: Scene, verdict: Verdict) -> str | None:
    engine = scene.subject.container.engine
    if verdict.style is not Style.SYSTEM or made_for(engine) is not MadeFor.APP or not scene.seen:
        return None
    if verdict.confidence < SURE:
        return None  # nobody is to move an application because it was mistaken
    names = listed(p.name for p in (*scene.os_services, *scene.plumbing))
    return f"a small server runs in {engine}, with {names or 'services of its own'}"


@_finding(
    "single_app_in_system_container",
    Severity.ADVICE,
    title="A single application in a system container",
    means="A container that could hold a whole server runs one application.",
    matters="It has to be patched and administered as a server for the sake of one program.",
    advice="Consider an image in which the application itself is the first process, run by an "
    "engine that is made for applications.",
)
def _single(scene: Scene, verdict: Verdict) -> str | None:
    if verdict.style is not Style.APP or not scene.seen or not scene.applications:
        return None
    if not scene.managed and _expected(scene) is not Style.SYSTEM:
        return None
    return f"the system runs only one application, {listed(application_names(scene))}"


@_finding(
    "several_applications",
    Severity.ADVICE,
    title="Several applications in one container",
    means="Unrelated applications share one container.",
    matters="They can only be updated, limited, restarted and monitored together.",
    advice="Give each a container of its own.",
)
def _several(scene: Scene, verdict: Verdict) -> str | None:
    if verdict.style is not Style.APP or len(scene.applications) < 2:
        return None
    return f"several applications share it: {listed(application_names(scene))}"


@_finding(
    "logged_into",
    Severity.ADVICE,
    title="Users are logged into an application container",
    means="Someone has a shell in a container that exists to run one application.",
    matters="Changes made by hand are recorded nowhere and lost when the container is replaced.",
    advice="Make changes in the image or its configuration, and debug from a separate container.",
)
def _logged_into(scene: Scene, verdict: Verdict) -> str | None:
    if verdict.style is not Style.APP or not (scene.sessions or scene.exec_shells):
        return None
    ways = []
    if scene.sessions:
        ways.append(f"{len(scene.sessions)} through a login service")
    if scene.exec_shells:
        ways.append(f"{len(scene.exec_shells)} through an engine's exec")
    return f"users are logged into an application container: {' and '.join(ways)}"


@_finding(
    "drifted",
    Severity.ADVICE,
    title="Changed since it was created",
    means="Packages of an application container differ from those of its image. What it writes "
    "(logs, caches, data) is no drift.",
    matters="The image no longer describes what runs, and the change is lost when the container "
    "is replaced.",
    advice="Rebuild the image with the change, and replace the container.",
)
def _drifted(scene: Scene, verdict: Verdict) -> str | None:
    if verdict.style is not Style.APP:
        return None
    container, root = scene.subject.container, scene.subject.root
    if not container.image or _expected(scene) is not Style.APP:
        return None  # no image to differ from
    changed = root.packages_changed if root else None
    if changed is None or container.created is None or changed - container.created <= 60:
        return None
    return "packages were installed or upgraded in it since it was created"


@_finding(
    "bloated_image",
    Severity.INFORMATION,
    title="A large image",
    means="The image takes up 1 GiB or more, which an application seldom needs.",
    matters="It is slow to pull, and much in it is never run but has to be patched.",
    advice="Use a multi-stage build, and start from a slim base image.",
)
def _bloated(scene: Scene, verdict: Verdict) -> str | None:
    image = scene.subject.container.image_facts
    size = image.size_bytes if image else None
    if verdict.style is not Style.APP or size is None or size < _BLOATED_BYTES:
        return None
    return f"its image takes up {size / (1 << 30):.1f} GiB"


@_finding(
    "stale_image",
    Severity.ADVICE,
    title="An old image",
    means="An application runs from an image that was built half a year ago or earlier.",
    matters="It lacks the security updates that were published since.",
    advice="Rebuild the image and replace the container.",
)
def _stale(scene: Scene, verdict: Verdict) -> str | None:
    image = scene.subject.container.image_facts
    if verdict.style is not Style.APP or image is None or image.created is None or not scene.seen:
        return None
    days = int((scene.subject.now - image.created) / _DAY)
    return f"its image was built {days} days ago" if days >= _STALE_DAYS else None


@_finding(
    "no_limits",
    Severity.ADVICE,
    title="No limits",
    means="Neither its cgroup nor one above it limits memory, CPU time or the number of processes.",
    matters="One container can starve all others and the host itself.",
    advice="Set at least a memory and a pids limit.",
)
def _no_limits(scene: Scene, _: Verdict) -> str | None:
    limits = scene.subject.container.limits
    if scene.subject.container.role == "infra" or not limits.seen.issuperset(_LIMITED):
        return None
    if (limits.memory_bytes, limits.cores, limits.pids) != (None, None, None):
        return None
    return "neither memory nor CPU time nor the number of processes is limited"


@_finding(
    "unreaped",
    Severity.WARNING,
    title="Zombies that are not reaped",
    means="Processes have ended, and their parent, mostly the container's first process, does not "
    "ask for their exit status.",
    matters="Each keeps a process number and counts towards the pids limit. When that is reached, "
    "nothing more can be started in the container.",
    advice="Run an init that reaps, as `docker run --init` or tini does, or wait for children in "
    "the application.",
)
def _unreaped(scene: Scene, _: Verdict) -> str | None:
    zombies = scene.subject.unreaped
    if zombies < _MANY_ZOMBIES:
        return None
    return f"{zombies} processes have ended and are not reaped"


@_finding(
    "privileged",
    Severity.WARNING,
    title="Privileged",
    means="It runs with all privileges, as `docker run --privileged` gives them: its engine says "
    "so, or its first process has, effective and permitted in the host's own user namespace, those "
    "capabilities that no engine gives unless it gives all, and no system call filter.",
    matters="Root in it is root on the host. It is not isolated like a virtual machine: it shares "
    "the kernel of the host.",
    advice="Give it only the capabilities and devices that it needs.",
)
def _privileged(scene: Scene, _: Verdict) -> str | None:
    container = scene.subject.container
    if container.privileged:
        return "its engine gave it every capability and no system call filter"
    # The runtime's own init has all of them for the moment before it starts the program.
    if container.isolation.privileged and scene.init_kind is not InitKind.RUNTIME:
        return "it has every capability of the host and no system call filter"
    return None


@_finding(
    "shared_host_namespaces",
    Severity.ADVICE,
    title="Shares namespaces of the host",
    means="It shares the host's network, processes or other namespaces.",
    matters="It sees what runs on the host, and may be able to reach or signal it.",
    advice="Give it namespaces of its own, and publish the ports that it serves.",
)
def _host_namespaces(scene: Scene, _: Verdict) -> str | None:
    shared = scene.subject.container.isolation.shared_namespaces - {"cgroup", "user", "time"}
    plural = "s" if len(shared) > 1 else ""
    return f"it shares the host's {listed(shared)} namespace{plural}" if shared else None


@_finding(
    "engine_socket_inside",
    Severity.WARNING,
    title="An engine's socket inside",
    means="The socket of a container engine is mounted in it.",
    matters="Access to an engine is root access to the host, unless the engine is rootless.",
    advice="Use a proxy that allows only the calls that are needed, or a rootless engine.",
)
def _engine_socket(scene: Scene, _: Verdict) -> str | None:
    sockets = scene.subject.container.isolation.engine_sockets
    return f"the socket of an engine is mounted in it: {listed(sockets)}" if sockets else None


@_finding(
    "no_user_namespace",
    Severity.ADVICE,
    title="A server without a user namespace",
    means="It has no user namespace: its root is the host's root.",
    matters="It is not isolated like a virtual machine: it shares the kernel of the host, and root "
    "that escapes from it is root on the host.",
    advice="Run it unprivileged, with its users mapped to others.",
)
def _no_user_namespace(scene: Scene, verdict: Verdict) -> str | None:
    isolation = scene.subject.container.isolation
    if verdict.style is not Style.SYSTEM or isolation.user_mapped is not False:
        return None
    return "its root user is the host's root user: it has no user namespace"


@_finding(
    "workshop",
    Severity.INFORMATION,
    title="A workshop",
    means="It is where somebody works (Toolbx, Distrobox, a dev container, an editor's server, a "
    "CI job), by its labels and by the files of theirs that are mounted in it.",
    matters="It is meant to share the files, the network and the privileges of who works in it, "
    "and to be changed and logged into by hand. So no other finding says any of that.",
    advice="Nothing, if you know who works in it. Run services elsewhere.",
)
def _workshop(scene: Scene, verdict: Verdict) -> str | None:
    kind = workshop(scene) if verdict.style is Style.APP else ""
    return f"it is {kind}" if kind else None


_MEANT_SO = frozenset(
    {
        *("privileged", "shared_host_namespaces", "no_limits", "logged_into", "drifted"),
        *("several_applications", "single_app_in_system_container"),
    }
)
"""What a workshop is meant to be, and so no finding in one."""

CATALOGUE = tuple(sorted(_kinds, key=lambda kind: -list(Severity).index(kind.severity)))
"""All kinds of findings, in the order in which they are shown: what matters most comes first."""


def findings(scene: Scene, verdict: Verdict) -> tuple[Finding, ...]:
    """Return the findings that stand for a container: warnings first, as the catalogue has them."""
    found = [
        Finding(name=kind.name, sentence=sentence, severity=kind.severity)
        for kind in CATALOGUE
        if (sentence := kind.detect(scene, verdict)) is not None
    ]
    if any(finding.name == "workshop" for finding in found):
        found = [finding for finding in found if finding.name not in _MEANT_SO]
    return tuple(found)
