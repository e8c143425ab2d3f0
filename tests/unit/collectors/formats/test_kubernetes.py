from __future__ import annotations

import pytest

from collectors.formats.kubernetes import pod_facts

KUBELET = {
    "io.kubernetes.pod.name": "web-0",
    "io.kubernetes.pod.namespace": "shop",
    "io.kubernetes.container.name": "app",
}
CRI = {
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.sandbox-name": "web-0",
    "io.kubernetes.cri.sandbox-namespace": "shop",
    "io.kubernetes.cri.container-name": "app",
    "io.kubernetes.cri.image-name": "registry/app:1",
}
CRIO = {
    "io.kubernetes.cri-o.ContainerType": "container",
    "io.kubernetes.cri-o.KubeName": "web-0",
    "io.kubernetes.cri-o.Namespace": "shop",
    "io.kubernetes.container.name": "app",
    "io.kubernetes.cri-o.ImageName": "registry/app:1",
}


@pytest.mark.parametrize("words", [KUBELET, CRI, CRIO])
def test_a_container_in_whichever_words(words: dict[str, str]) -> None:
    found = pod_facts(words)
    assert found is not None
    assert (found.namespace, found.pod, found.container_name) == ("shop", "web-0", "app")
    assert found.name == "shop/web-0/app"
    assert found.role == ""


@pytest.mark.parametrize(
    "words",
    [
        {**KUBELET, "io.kubernetes.container.name": "POD"},
        {**KUBELET, "io.kubernetes.docker.type": "podsandbox"},
        {**KUBELET, "io.cri-containerd.kind": "sandbox"},
        {**CRI, "io.kubernetes.cri.container-type": "sandbox"},
        {**CRIO, "io.kubernetes.cri-o.ContainerType": "sandbox"},
    ],
)
def test_a_sandbox_is_infrastructure(words: dict[str, str]) -> None:
    found = pod_facts(words)
    assert found is not None
    assert found.role == "infra"
    assert found.container_name == ""
    assert found.name == "shop/web-0"


def test_several_sources_complete_each_other() -> None:
    found = pod_facts(KUBELET, {"io.kubernetes.cri.image-name": "registry/app:1"})
    assert found is not None
    assert found.image == "registry/app:1"


@pytest.mark.parametrize("words", [{}, {"io.kubernetes.container.name": "app"}, {"a": "b"}])
def test_what_no_kubelet_started_is_none(words: dict[str, str]) -> None:
    assert pod_facts(words) is None
