"""What labels say of Compose and Swarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.model import Container

_LABELS = {
    "compose_project": ("com.docker.compose.project", "io.podman.compose.project"),
    "compose_service": ("com.docker.compose.service", "io.podman.compose.service"),
    "swarm_service": ("com.docker.swarm.service.name",),
    "swarm_stack": ("com.docker.stack.namespace",),
}


def orchestration(container: Container) -> dict[str, str]:
    """Return project, stack and service of a container; each is empty where it has none."""
    labels = container.labels
    return {
        name: next((labels[key] for key in keys if key in labels), "")
        for name, keys in _LABELS.items()
    }
