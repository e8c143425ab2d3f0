"""Settings of a container in Proxmox VE's file of it, pct.conf(5)."""

from __future__ import annotations

from urllib.parse import unquote

_DESCRIPTION_LIMIT = 200


def parse_settings(text: str) -> dict[str, str]:
    """Parse a container's file: its current settings, not those of snapshots or pending ones.

    The description is in comments before the settings, each line percent-encoded.
    """
    settings: dict[str, str] = {}
    description: list[str] = []
    for line in text.splitlines():
        if line.startswith("["):
            break
        if line.startswith("#"):
            description.append(unquote(line[1:], errors="replace"))
            continue
        key, colon, value = line.partition(":")
        if colon:
            settings[key.strip()] = value.strip()
    if description:
        settings["description"] = "\n".join(description).strip()[:_DESCRIPTION_LIMIT]
    return settings


def bridge(network: str) -> str:
    """Return the bridge of a network setting (``net0``), "none" where it has none."""
    options = dict(part.partition("=")[::2] for part in network.split(","))
    return options.get("bridge", "none") if network else ""


def bind_source(value: str) -> str:
    """Return the host's directory that a setting (``mp0``) mounts; "" where it is no bind mount."""
    source, comma, options = value.partition(",")
    return source if comma and source.startswith("/") and "mp=/" in options else ""
