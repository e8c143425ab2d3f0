"""What a release is made of, as written for scanners."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

CLONE = Path(__file__).parents[3]


def test_names_all_that_is_pinned_and_the_same_each_time() -> None:
    def write() -> str:
        return subprocess.check_output(
            [sys.executable, str(CLONE / "deploy/release/sbom.py")],
            env={"SOURCE_DATE_EPOCH": "0"},
            text=True,
        )

    written = write()
    assert write() == written
    bill = json.loads(written)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert bill["metadata"]["timestamp"] == "1970-01-01T00:00:00Z"
    purls = [component["purl"] for component in bill["components"]]
    assert len(purls) == len(set(purls))
    pinned = re.findall(r"(?m)^([\w-]+)==", (CLONE / "deploy/requirements.txt").read_text())
    for_windows = {"pywin32", "win-inet-pton"}
    packages = {purl.split("/")[1].split("@")[0] for purl in purls if purl.startswith("pkg:pypi/")}
    assert packages == set(pinned) - for_windows
    compiled = {purl.split("/")[2].split("@")[0] for purl in purls if purl.startswith("pkg:deb/")}
    assert compiled >= {"openssl", "python3.11", "sqlite3", "zlib"}
