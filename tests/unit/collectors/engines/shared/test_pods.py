from __future__ import annotations

from typing import Any

from collectors.engines.shared.pods import with_hostnames
from collectors.facts import Sighting


def sighting(**more: Any) -> Sighting:
    return Sighting(collector="x", engine="x", engine_id="x", **more)


def test_the_containers_of_a_pod_have_its_host_name() -> None:
    sightings = [
        sighting(pod="web", namespace="shop"),
        sighting(pod="web", namespace="shop", role="infra", hostname="web-0"),
        sighting(pod="web", namespace="shop", hostname="its-own"),
        sighting(pod="web", namespace="other"),
        sighting(pod="web", namespace="shop", instance="elsewhere"),
        sighting(),
    ]
    assert [s.hostname for s in with_hostnames(sightings)] == [
        "web-0",
        "web-0",
        "its-own",
        *[""] * 3,
    ]
