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
    """Give the style that an engine is made for.

    ``boots`` is what the engine was told: whoever starts one program by ``lxc-execute`` or
    ``systemd-nspawn`` without ``--boot`` asks for an application.
    """
    if engine in _APPLICATION:
        return Style.APP
    if engine in _SYSTEM or engine == "nspawn":
        if boots is None:
            return Style.SYSTEM if engine in _SYSTEM else Style.UNKNOWN
        return Style.SYSTEM if boots else Style.APP
    return Style.UNKNOWN
