"""A registry of one image, for engines that fetch only from one: an OCI layout over HTTPS.

https://github.com/opencontainers/distribution-spec, what a pull needs of it.

python3 -m tests.engines.guest.registry LAYOUT NAME CERTIFICATE KEY PORT
"""

from __future__ import annotations

import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main(layout: Path, name: str, certificate: str, key: str, port: int) -> None:
    """Answer until it is killed."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = _find(layout, name, self.path)
            kind, body = found or ("application/json", b'{"errors": []}')
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    server = ThreadingHTTPServer(("", port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


def _find(layout: Path, name: str, path: str) -> tuple[str, bytes] | None:
    """Return type and content of what is at a path; None where nothing is."""
    top = f"/v2/{name}"
    if path == "/v2/":
        return "application/json", b"{}"
    if path == f"{top}/tags/list":
        return "application/json", json.dumps({"name": name, "tags": ["latest"]}).encode()
    manifest = json.loads((layout / "index.json").read_text())["manifests"][0]
    kind, _, reference = path.removeprefix(f"{top}/").partition("/")
    if kind == "manifests" and reference in ("latest", manifest["digest"]):
        return manifest["mediaType"], _blob(layout, manifest["digest"])
    if kind == "blobs" and (layout / "blobs" / reference.replace(":", "/")).is_file():
        return "application/octet-stream", _blob(layout, reference)
    return None


def _blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
