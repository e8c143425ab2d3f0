"""Whether a container is somebody's workshop: a shell and tools over their own files, no service.

Toolbx, Distrobox and dev containers have labels of their makers, and a home directory of the host
mounted. Both are needed: labels come with an image, a mount only from who started the container.
What is inside can forge neither.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.classifier.scene import InitKind

if TYPE_CHECKING:
    from agent.classifier.scene import Scene
    from agent.model import Container

_HOME = r"(?:(?:/var)?/home/[^/]+|/root|/var/roothome|/Users/[^/]+)"
_WHOLE_HOME = re.compile(_HOME)
_IN_A_HOME = re.compile(_HOME + r"(?:/.*)?")

_OF_A_HOME = {
    "Toolbx": ("com.github.containers.toolbox", "true"),  # containers/toolbox, src/cmd/create.go
    "Distrobox": ("manager", "distrobox"),  # 89luca89/distrobox, distrobox-create
}
"""Label of each kind of workshop that mounts a whole home directory."""
_FOLDER = "devcontainer.local_folder"
"""Label of a dev container: the folder of the host that it was made for; devcontainers/cli."""
_OF_GITLAB = "com.gitlab.gitlab-runner.managed"
_CACHE_OF_GITLAB = re.compile(r".*/runner-[^/]*-cache-[^/]*/_data|.*/builds")
_HOME_OF_A_JOB = "/_github_home"
"""How the home directory that GitHub's runner mounts into the container of a job ends."""
_EDITOR = re.compile(r"/(?:vscode/|\.)vscode-server(?:-insiders)?/")
"""In the path of a program of VS Code's, which it starts by its engine's exec."""


def workshop(scene: Scene) -> str:
    """Return whose kind of workshop a container is, in words; empty if it is none."""
    return declared_workshop(scene.subject.container) or _used_as_one(scene)


def declared_workshop(container: Container) -> str:
    """Return the kind of workshop that a container was made as; empty if it was not."""
    labels, mounts = container.labels, container.mounts
    for kind, (label, value) in _OF_A_HOME.items():
        if labels.get(label) == value and any(map(_WHOLE_HOME.fullmatch, mounts)):
            return f"a {kind} container"
    folder = labels.get(_FOLDER, "").rstrip("/")
    if folder and any(f"{folder}/".startswith(f"{mount.rstrip('/')}/") for mount in mounts):
        return "a dev container"
    if labels.get(_OF_GITLAB) == "true" and any(map(_CACHE_OF_GITLAB.fullmatch, mounts)):
        return "a job of a GitLab runner"
    if labels and any(mount.endswith(_HOME_OF_A_JOB) for mount in mounts):
        return "a job of a GitHub runner"
    return ""


def _used_as_one(scene: Scene) -> str:
    """Return what it is used as, by those who came in from outside, over files of a home."""
    subject = scene.subject
    if not any(map(_IN_A_HOME.fullmatch, subject.container.mounts)):
        return ""
    visitors = [p for p in subject.processes if p.pid in subject.entered_from_outside]
    if any(_EDITOR.search(p.exe or "") for p in visitors):
        return "where an editor works (VS Code)"
    if scene.init_kind is InitKind.WAITING and not scene.services and scene.exec_shells:
        return "kept alive for the people in it"
    return ""
