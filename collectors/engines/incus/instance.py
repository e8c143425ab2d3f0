"""What Incus and LXD keep of one instance: from the API, or from the backup.yaml beside its root.

Both have the same structure, ``api.Instance`` of their source. No YAML parser is needed for the few
keys that are of use: the daemon writes the file itself, always in the same style, and only lines
with exactly the indentation of those keys are read.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from collectors.formats.command_line import boots_system

BACKUP_LIMIT = 4 << 20
"""Cloud-init data of the instance and of its snapshots may make backup.yaml large."""

_LINE = re.compile(r"( *)([^\s:][^:]*):(?: (.*))?")
_INIT_COMMAND = re.compile(r"^\s*lxc\.init\.cmd\s*=\s*(.+?)\s*$", re.MULTILINE)
_SECTIONS = frozenset({"container", "instance"})
_CONFIGS = frozenset({"config", "expanded_config"})
"""The instance's own keys, and those with the keys of its profiles; the latter come last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance as its daemon knows it."""

    kind: str = "container"
    """``container`` or ``virtual-machine``."""
    created: float | None = None
    ephemeral: bool = False
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def image(self) -> str:
        """Return its image by the usual name, ``debian/12``, or by its description."""
        system = "/".join(filter(None, map(self.config.get, ("image.os", "image.release"))))
        return (
            self.config.get("image.id")
            or system.lower()
            or self.config.get("image.description", "")
        )

    @property
    def fingerprint(self) -> str:
        """Return the image's SHA-256, which is its id."""
        return self.config.get("volatile.base_image", "")

    @property
    def command(self) -> tuple[str, ...]:
        """Return the program that is started, where the configuration names it.

        For an OCI image it is ``oci.entrypoint``, for others liblxc's own key in ``raw.lxc``.
        """
        key = _INIT_COMMAND.search(self.config.get("raw.lxc", ""))
        text = self.config.get("oci.entrypoint", "") or (key[1] if key else "")
        try:
            return tuple(shlex.split(text))
        except ValueError:
            return tuple(text.split())

    @property
    def is_oci(self) -> bool:
        """Return whether it was made from an OCI image, which holds one program."""
        return self.config.get("volatile.container.oci") == "true"

    @property
    def boots(self) -> bool | None:
        """Return whether a whole system is to be started; None for ``/init``."""
        if self.is_oci:
            return False
        return boots_system(self.command) if self.command else True

    @property
    def labels(self) -> Mapping[str, str]:
        """Return the keys that are free for users to set."""
        return {k: v for k, v in self.config.items() if k.startswith("user.") and len(v) <= 256}


def from_api(answer: Mapping[str, Any]) -> tuple[str, Instance]:
    """Parse an instance of the API's answer; with it, the name that liblxc knows it by."""
    name, project = _text(answer, "name"), _text(answer, "project")
    full = name if project in ("", "default") else f"{project}_{name}"
    config = answer.get("expanded_config") or answer.get("config")
    pairs = config.items() if isinstance(config, dict) else ()
    return full, Instance(
        kind=_text(answer, "type") or "container",
        created=parse_time(_text(answer, "created_at")),
        ephemeral=answer.get("ephemeral") is True,
        config={k: v for k, v in pairs if isinstance(v, str)},
    )


def parse_backup(text: str) -> Instance | None:
    """Parse an instance's backup.yaml; None when it is none."""
    section, group = "", ""
    fields: dict[str, str] = {}
    config: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        indentation, key, value = len(match[1]), match[2], match[3] or ""
        if indentation == 0:
            section = key
        elif section in _SECTIONS and indentation == 2:
            group = key
            fields[key] = _scalar(value)
        elif section in _SECTIONS and indentation == 4 and group in _CONFIGS:
            config[_scalar(key)] = _scalar(value)
    if "name" not in fields:
        return None
    return Instance(
        kind=fields.get("type", "container"),
        created=parse_time(fields.get("created_at", "")),
        ephemeral=fields.get("ephemeral") == "true",
        config=config,
    )


def parse_time(text: str) -> float | None:
    """Parse a time of the API's; None for its zero, the years 1 and 1970."""
    try:
        seconds = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds > 0 else None


def _text(answer: Mapping[str, Any], key: str) -> str:
    value = answer.get(key)
    return value if isinstance(value, str) else ""


def _scalar(text: str) -> str:
    if text[:1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    if text[:1] == "'" and text[-1:] == "'":
        return text[1:-1].replace("''", "'")
    return text
