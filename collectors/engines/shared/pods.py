"""Pods: what their containers have in common, and only the container that holds it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.facts import Sighting


def with_hostnames(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Return sightings in which the containers of a pod that have no host name have the pod's.

    They share the UTS namespace of the container that holds the pod's namespaces, and no engine
    writes its host name into the configuration of the others.
    """
    everyone = list(sightings)
    names = {
        (s.instance, s.namespace, s.pod): s.hostname
        for s in everyone
        if s.pod and s.role == "infra"
    }
    return [
        replace(s, hostname=names.get((s.instance, s.namespace, s.pod), ""))
        if s.pod and not s.hostname
        else s
        for s in everyone
    ]
