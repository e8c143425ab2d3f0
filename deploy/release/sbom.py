"""Writes what a release is made of, in CycloneDX 1.5: the pinned packages and Debian's sources.

``python3 deploy/release/sbom.py > dist/tallyman.cdx.json``
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

CLONE = Path(__file__).parents[2]

Component = dict[str, object]


def packages(requirements: str) -> Iterator[Component]:
    """Yield the packages of the index, except those for Windows."""
    for line in requirements.splitlines():
        found = re.match(r"([\w.-]+)==([\w.!+-]+)(.*)", line)
        if found and "win32" not in found[3]:
            name, version = found[1], found[2]
            yield {
                "type": "library",
                "name": name,
                "version": version,
                "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}",
            }


def sources(table: str) -> Iterator[Component]:
    """Yield the source packages of Debian that the one file is compiled from."""
    for line in table.splitlines():
        if line and not line.startswith("#"):
            name, version, digest = line.split()
            yield {
                "type": "library",
                "name": name,
                "version": version,
                "purl": f"pkg:deb/debian/{name}@{quote(version)}?arch=source&distro=debian-12",
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }


def bill(when: int) -> dict[str, object]:
    """Return the document; the same sources and time give the same one."""
    text = (CLONE / "agent/__init__.py").read_text()
    version = re.search(r'^__version__ = "(.*)"', text, re.MULTILINE)
    if version is None:
        raise ValueError("agent/__init__.py names no version")
    components = [
        *packages((CLONE / "deploy/requirements.txt").read_text()),
        *sources((CLONE / "deploy/onefile/sources").read_text()),
    ]
    for component in components:
        component["bom-ref"] = component["purl"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when)),
            "component": {
                "type": "application",
                "bom-ref": "tallyman",
                "name": "tallyman",
                "version": version[1],
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": components,
        "dependencies": [{"ref": "tallyman", "dependsOn": [each["purl"] for each in components]}],
    }


if __name__ == "__main__":
    json.dump(bill(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))), sys.stdout, indent=2)
    sys.stdout.write("\n")
