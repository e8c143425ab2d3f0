"""How evidence and findings are worded: lists, numbers, names, and where a fact was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.classifier.scene import Program, Scene


def proc(scene: Scene, file: str) -> str:
    """Return the path of a file in /proc of the container's first process."""
    return f"/proc/{scene.init.pid}/{file}" if scene.init else f"/proc/*/{file}"


def tree(scene: Scene) -> str:
    """Return the name of a container's process tree, as a source of evidence."""
    return f"the processes below {scene.init.pid}" if scene.init else "its processes"


def listed(names: Iterable[str], limit: int = 6) -> str:
    """Return names as a list in prose: ``cron, nginx and sshd``."""
    rest = sorted(set(names))
    if len(rest) > limit:
        rest = [*rest[:limit], f"{len(rest) - limit} more"]
    return rest[0] if len(rest) == 1 else f"{', '.join(rest[:-1])} and {rest[-1]}" if rest else ""


def plural(count: int, noun: str) -> str:
    """Return a number with its noun: ``1 process``, ``2 processes``."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{ending}"


def application_names(scene: Scene) -> list[str]:
    """Return one name for each application."""
    return ["+".join(p.name for p in group[:4]) for group in scene.applications]


def service_names(programs: Iterable[Program]) -> str:
    """Return the names of services, each with what speaks against it."""
    by_doubt: dict[str, list[str]] = {}
    for program in programs:
        by_doubt.setdefault(program.doubt, []).append(program.name)
    return "; ".join(
        listed(names) + (f" ({doubt})" if doubt else "")
        for doubt, names in sorted(by_doubt.items())
    )
