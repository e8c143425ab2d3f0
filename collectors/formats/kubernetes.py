"""Kubernetes' names for a container, from the labels and annotations that its engine was given.

The kubelet labels every container (pkg/kubelet/types/labels.go), containerd's CRI plugin annotates
the bundle (internal/cri/annotations), CRI-O has its own annotations, and cri-dockerd its labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_NAMESPACE = (
    "io.kubernetes.pod.namespace",
    "io.kubernetes.cri.sandbox-namespace",
    "io.kubernetes.cri-o.Namespace",
)
_POD = (
    "io.kubernetes.pod.name",
    "io.kubernetes.cri.sandbox-name",
    "io.kubernetes.cri-o.KubeName",
)
_CONTAINER = ("io.kubernetes.container.name", "io.kubernetes.cri.container-name")
_IMAGE = ("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName")
_KIND = (
    "io.kubernetes.cri.container-type",
    "io.cri-containerd.kind",
    "io.kubernetes.cri-o.ContainerType",
    "io.kubernetes.docker.type",
)
_SANDBOX = frozenset({"sandbox", "podsandbox"})
_SANDBOX_NAME = "POD"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """A container as Kubernetes knows it; empty for one that no kubelet started."""

    namespace: str = ""
    pod: str = ""
    container_name: str = ""
    """Empty for the pod's own sandbox."""
    is_sandbox: bool = False
    image: str = ""

    @property
    def role(self) -> str:
        """Return ``infra`` for the sandbox, which only holds the pod's namespaces."""
        return "infra" if self.is_sandbox else ""

    @property
    def name(self) -> str:
        """Return a name that is unique on the node: ``<namespace>/<pod>/<container>``, or ""."""
        return "/".join(filter(None, (self.namespace, self.pod, self.container_name)))


def pod_facts(*sources: Mapping[str, str]) -> PodFacts | None:
    """Read the facts from labels and annotations; None where no kubelet started the container."""
    namespace, pod = _first(sources, _NAMESPACE), _first(sources, _POD)
    if not namespace or not pod:
        return None
    container = _first(sources, _CONTAINER)
    is_sandbox = _first(sources, _KIND) in _SANDBOX or container == _SANDBOX_NAME
    return PodFacts(
        namespace=namespace,
        pod=pod,
        container_name="" if is_sandbox else container,
        is_sandbox=is_sandbox,
        image=_first(sources, _IMAGE),
    )


def _first(sources: tuple[Mapping[str, str], ...], keys: tuple[str, ...]) -> str:
    return next((s[key] for key in keys for s in sources if s.get(key)), "")
