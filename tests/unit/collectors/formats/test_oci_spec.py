from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.formats.oci_spec import Spec, cgroup_of_spec, expand_slice, parse_spec
from tests.support.engine_host import fixture, patient


def test_a_real_bundle() -> None:
    spec = parse_spec(fixture("docker/bundle-config.json"))
    assert spec is not None
    assert spec.command == ("/sbin/docker-init", "--", "sleep", "100000")
    assert spec.hostname == "6cd397180e40"
    assert spec.rootfs.startswith("/var/lib/docker/overlay2/")
    assert spec.cgroups_path.startswith("/docker/")
    # The engine's own resolv.conf, hosts and hostname are left out.
    assert "/srv" in spec.mounts
    assert not any(source.endswith(("hosts", "hostname", "resolv.conf")) for source in spec.mounts)
    assert spec.network_mode == ""


def test_podmans_host_network_shows_as_a_missing_namespace() -> None:
    spec = parse_spec(fixture("podman/config.json"))
    assert spec is not None
    assert spec.network_mode == "host"
    assert spec.annotations["io.container.manager"] == "libpod"


def test_a_joined_network_namespace_is_named() -> None:
    document = {"linux": {"namespaces": [{"type": "network", "path": "/proc/7/ns/net"}]}}
    spec = parse_spec(json.dumps(document).encode())
    assert spec is not None
    assert spec.network_mode == "ns:/proc/7/ns/net"


@pytest.mark.parametrize(("shares", "expected"), [(512, 512), (0, None), ("512", None)])
def test_cpu_shares_are_those_that_were_given(shares: object, expected: int | None) -> None:
    document = {"linux": {"resources": {"cpu": {"shares": shares}}}}
    spec = parse_spec(json.dumps(document).encode())
    assert spec is not None
    assert spec.cpu_shares == expected


@patient
@given(st.binary())
def test_any_bytes_are_a_specification_or_none(data: bytes) -> None:
    assert parse_spec(data) is None or isinstance(parse_spec(data), Spec)


@pytest.mark.parametrize(
    ("path", "cgroup"),
    [
        ("/docker/abc", "/docker/abc"),
        ("/a//b/../c", "/a/c"),
        ("/", None),
        ("", None),
        ("relative", None),
        ("system.slice:docker:abc", "/system.slice/docker-abc.scope"),
        (":docker:abc", "/system.slice/docker-abc.scope"),
        (
            "kubepods-burstable-pod7.slice:cri-containerd:abc",
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7.slice"
                "/cri-containerd-abc.scope"
            ),
        ),
        ("user.slice::my.slice", "/user.slice/my.slice"),
        ("system.slice::", None),
        ("/with:colon/x", "/with:colon/x"),
    ],
)
def test_cgroups_path(path: str, cgroup: str | None) -> None:
    assert cgroup_of_spec(path) == cgroup


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("system.slice", "system.slice"),
        ("a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice"),
        ("-.slice", ""),
        ("a.slice/a-b.slice", "a.slice/a-b.slice"),
    ],
)
def test_slices_lie_in_slices(name: str, path: str) -> None:
    assert expand_slice(name) == path
