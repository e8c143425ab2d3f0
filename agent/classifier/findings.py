"""Findings: practices that the model warns of, each with what it means and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.classifier.convention import expected_style
from agent.classifier.wording import application_names, listed
from agent.model import Finding, Style

if TYPE_CHECKING:
    from agent.classifier.scene import Scene
    from agent.model import Verdict

_DAY = 86400.0
_BLOATED_BYTES = 1 << 30
_DRIFTED_BYTES = 256 << 20
_STALE_DAYS = 180
_LIMITED = frozenset({"memory", "cpu", "pids"})


Detector = Callable[["Scene", "Verdict"], str | None]
"""Returns the finding's sentence for one container; None where it does not apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingKind:
    """What a finding means, whichever container has it."""

    name: str
    title: str
    means: str
    matters: str
    advice: str
    detect: Detector


_kinds: list[FindingKind] = []


def _finding(
    name: str, *, title: str, means: str, matters: str, advice: str
) -> Callable[[Detector], Detector]:
    """Make the decorated function the detector of a new kind of finding."""

    def register(detect: Detector) -> Detector:
        _kinds.append(
            FindingKind(
                name=name, title=title, means=means, matters=matters, advice=advice, detect=detect
            )
        )
        return detect

    return register


def _expected(scene: Scene) -> Style:
    container = scene.subject.container
    return expected_style(container.engine, container.boots)


@_finding(
    "docker_as_vm",
    title="A server in an application engine",
    means="An engine that is made for applications runs a small server: a service manager or "
    "several unrelated services.",
    matters="Such a container is patched, backed up and logged into like a server, but its "
    "engine replaces it without a word, and isolation is not a virtual machine's: the kernel "
    "is shared.",
    advice="Split it into one container per service, or move it to LXC, Incus or a virtual "
    "machine.",
)
def _server(scene: Scene, verdict: Verdict) -> str | None:
    if verdict.style is not Style.SYSTEM or _expected(scene) is not Style.APP or not scene.seen:
        return None
    engine = scene.subject.container.engine
    names = listed(p.name for p in (*scene.os_services, *scene.plumbing))
    return f"a small server runs in {engine}, with {names or 'services of its own'}"


@_finding(
    "single_app_in_system_container",
    title="A single application in a system container",
    means="A container that could hold a whole server runs one application.",
    matters="It is patched and administered as a server for the sake of one program.",
    advice="It is a candidate for an image: build one, and let the engine replace it.",
)
def _single(scene: Scene, verdict: Verdict) -> str | None:
    if verdict.style is not Style.APP or not scene.seen or not scene.applications:
        return None
    if not scene.managed and _expected(scene) is not Style.SYSTEM:
        return None
    return f"one application, {listed(application_names(scene))}, is all that the system runs"


@_finding(
    "several_applications",
    title="Several applications in one container",
    means="Applications that have nothing to do with each other share one container.",
    matters="They can only be updated, limited, restarted and observed together.",
    advice="Give each a container of its own.",
)
def _several(scene: Scene, verdict: Verdict) -> str | None:
    if verdict.style is not Style.APP or len(scene.applications) < 2:
        return None
    return f"several applications share it: {listed(application_names(scene))}"


@_finding(
    "logged_into",
    title="People are logged into an application's container",
    means="Somebody has a shell in a container that exists to run one application.",
    matters="What is changed by hand is gone with the next replacement, and nobody knows it.",
    advice="Put the change into the image or its configuration; debug from beside it.",
)
def _logged_into(scene: Scene, verdict: Verdict) -> str | None:
    if verdict.style is not Style.APP or not (scene.sessions or scene.exec_shells):
        return None
    ways = []
    if scene.sessions:
        ways.append(f"{len(scene.sessions)} by a login service")
    if scene.exec_shells:
        ways.append(f"{len(scene.exec_shells)} by an engine's exec")
    return f"people are inside an application's container: {' and '.join(ways)}"


@_finding(
    "drifted",
    title="Changed since it was made",
    means="Packages or files of an application's container differ from its image.",
    matters="The image no longer says what runs, and the next replacement undoes the change.",
    advice="Rebuild the image with the change, and keep data in volumes.",
)
def _drifted(scene: Scene, verdict: Verdict) -> str | None:
    if verdict.style is not Style.APP:
        return None
    container, root = scene.subject.container, scene.subject.root
    changed = root.packages_changed if root else None
    if changed is not None and container.created is not None and changed - container.created > 60:
        return "packages were installed or upgraded in it since it was made"
    size = container.writable_layer_bytes
    if size is not None and size >= _DRIFTED_BYTES:
        return f"{size >> 20} MiB were written into its own layer"
    return None


@_finding(
    "bloated_image",
    title="A large image",
    means="Images of applications seldom need a gibibyte.",
    matters="It is slow to pull and holds much that has to be patched and is never run.",
    advice="Build in stages, and start from a slim base.",
)
def _bloated(scene: Scene, verdict: Verdict) -> str | None:
    image = scene.subject.container.image_facts
    size = image.size_bytes if image else None
    if verdict.style is not Style.APP or size is None or size < _BLOATED_BYTES:
        return None
    return f"its image is {size / (1 << 30):.1f} GiB large"


@_finding(
    "stale_image",
    title="An old image",
    means="An application runs from an image that was built half a year ago or earlier.",
    matters="It has none of the security updates of that time.",
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
    title="No limits",
    means="Its cgroup lets it have whatever the host has.",
    matters="One container can starve all others and the host.",
    advice="Set at least a memory and a pids limit.",
)
def _no_limits(scene: Scene, _: Verdict) -> str | None:
    limits = scene.subject.container.limits
    if scene.subject.container.role == "infra" or not limits.seen.issuperset(_LIMITED):
        return None
    if (limits.memory_bytes, limits.cpu_quota_us, limits.pids) != (None, None, None):
        return None
    return "neither its memory nor its CPU time nor its number of processes is limited"


@_finding(
    "privileged",
    title="Privileged",
    means="It was started as `--privileged` starts it.",
    matters="Who is root in it is root on the host: isolation is not a virtual machine's, the "
    "kernel is shared.",
    advice="Give it the capabilities and devices that it needs instead.",
)
def _privileged(scene: Scene, _: Verdict) -> str | None:
    isolation = scene.subject.container.isolation
    if scene.subject.container.privileged or isolation.privileged:
        return "it has every capability and no system call filter"
    return None


@_finding(
    "shared_host_namespaces",
    title="Namespaces of the host",
    means="It shares the host's network, processes or other namespaces.",
    matters="It sees, and may reach or signal, what runs on the host.",
    advice="Give it namespaces of its own, and publish the ports that it needs.",
)
def _host_namespaces(scene: Scene, _: Verdict) -> str | None:
    shared = scene.subject.container.isolation.shared_namespaces - {"cgroup", "user", "time"}
    return f"it shares the host's {listed(shared)} namespace" if shared else None


@_finding(
    "engine_socket_inside",
    title="An engine's socket inside",
    means="The socket of a container engine is mounted in it.",
    matters="Whoever talks to the engine is root on the host.",
    advice="Use a proxy that allows only the calls that are needed, or a rootless engine.",
)
def _engine_socket(scene: Scene, _: Verdict) -> str | None:
    sockets = scene.subject.container.isolation.engine_sockets
    return f"the engine's socket is inside: {listed(sockets)}" if sockets else None


@_finding(
    "no_user_namespace",
    title="A server without a user namespace",
    means="Nothing maps its users to others.",
    matters="Isolation is not a virtual machine's, the kernel is shared: an escape is root on "
    "the host.",
    advice="Make it unprivileged: map its users.",
)
def _no_user_namespace(scene: Scene, verdict: Verdict) -> str | None:
    isolation = scene.subject.container.isolation
    if verdict.style is not Style.SYSTEM or isolation.user_mapped is not False:
        return None
    return "its root is the host's root: no user namespace"


CATALOGUE = tuple(_kinds)
"""All kinds of findings, in the order in which they are shown."""


def findings(scene: Scene, verdict: Verdict) -> tuple[Finding, ...]:
    """Return the findings that stand for a container, in the order of the catalogue."""
    return tuple(
        Finding(name=kind.name, sentence=sentence)
        for kind in CATALOGUE
        if (sentence := kind.detect(scene, verdict)) is not None
    )
