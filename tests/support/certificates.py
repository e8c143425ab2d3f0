"""Certificates of an authority of our own, made by the openssl command.

They have what ssl.VERIFY_X509_STRICT asks for, which is the default since Python 3.13: RFC 5280's
keyUsage of an authority (4.2.1.3), and in all others its key's identifier (4.2.1.1).
"""

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
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    def sign(self, name: str, *names: str) -> tuple[Path, Path]:
        """Make ``name``.pem and ``name``.key, for names such as DNS:localhost."""
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        extensions = self.folder / f"{name}.cnf"
        lines = [
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            "subjectKeyIdentifier=hash",
            "authorityKeyIdentifier=keyid:always",
            *(["subjectAltName=" + ",".join(names)] if names else []),
        ]
        extensions.write_text("\n".join(lines) + "\n")
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
