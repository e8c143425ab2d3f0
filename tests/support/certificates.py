"""Certificates of an authority of our own, made by the openssl command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.engines.harness.need import lacking


class Authority:
    """Signs certificates; all files lie in one folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        if shutil.which("openssl") is None:
            lacking("not installed: openssl")
        self.folder = folder
        self.name = name
        self.certificate = folder / f"{name}.pem"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", folder / f"{name}.key", "-out", self.certificate),
            *("-subj", f"/CN={name}", "-days", "2"),
        )

    def sign(self, name: str, *names: str) -> tuple[Path, Path]:
        """Make ``name``.pem and ``name``.key, for names such as DNS:localhost."""
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        extensions = self.folder / f"{name}.cnf"
        extensions.write_text("subjectAltName=" + ",".join(names) + "\n" if names else "")
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", key, "-out", request, "-subj", f"/CN={name}"),
        )
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate),
            *("-CAkey", self.folder / f"{self.name}.key", "-CAcreateserial"),
            *("-out", self.folder / f"{name}.pem", "-days", "2", "-extfile", extensions),
        )
        return self.folder / f"{name}.pem", key


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
