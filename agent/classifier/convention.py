"""What each engine is made for: a prior, never the answer."""

from __future__ import annotations

from agent.model import Style

_APPLICATION = frozenset(
    {
        "docker", "podman", "containerd", "cri-o", "kubernetes", "buildkit", "runc", "crun",
        "youki", "kata", "runsc", "apptainer", "singularity", "bubblewrap", "flatpak", "snap",
        "firejail", "charliecloud", "enroot", "rkt",
    }
)  # fmt: skip
_SYSTEM = frozenset({"lxc", "incus", "lxd", "openvz", "libvirt-lxc", "proxmox"})


def expected_style(engine: str, boots: bool | None = None) -> Style:
    """Return the style that an engine is made for.

    systemd-nspawn is made for either: ``boots`` says whether it was told ``--boot``.
    """
    if engine == "nspawn":
        return Style.UNKNOWN if boots is None else Style.SYSTEM if boots else Style.APP
    if engine in _SYSTEM:
        return Style.SYSTEM
    return Style.APP if engine in _APPLICATION else Style.UNKNOWN
