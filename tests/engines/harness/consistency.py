"""What no page may show, whatever happens on the host."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.engines.harness.agent import Page


def inconsistencies(page: Page) -> list[str]:
    """Return errors that no page may show, whatever happens on the host."""
    wrong = []
    infos = [s.labels for s in page.samples.get("tallyman_container_info", [])]
    ids = {labels["id"] for labels in infos}
    for name, samples in page.samples.items():
        keys = Counter(tuple(sorted(s.labels.items())) for s in samples)
        wrong += [f"{name}{key} stands {n} times" for key, n in keys.items() if n > 1]
        if name.startswith(("container_", "tallyman_container_")):
            unknown = {s.labels["id"] for s in samples} - ids - {"/"}
            wrong += [f"{name} of {one}, which has no info" for one in unknown]
    wrong += [f"{one} has {n} infos" for one, n in Counter(i["id"] for i in infos).items() if n > 1]
    handles = Counter(i["id"].rpartition("/")[2] for i in infos if i["engine"] == "docker")
    wrong += [f"{handle} is {n} containers" for handle, n in handles.items() if n > 1]
    states = Counter(s.labels["id"] for s in page.samples.get("tallyman_container_state", []))
    wrong += [f"{one} is in {n} states" for one, n in states.items() if n > 1]
    return wrong
