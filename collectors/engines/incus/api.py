"""The REST API of Incus and LXD over its Unix socket: which instances a daemon has.

Asked only where the daemon runs already (connecting would start it), with a deadline for the whole
answer and a cap on its size: https://linuxcontainers.org/incus/docs/main/rest-api/.
"""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

from collectors.contract import CollectorError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ANSWER_LIMIT = 64 << 20
_CHUNK = 1 << 16
_LOCAL = ("", "none")


def list_instances(path: str, timeout: float) -> Sequence[Mapping[str, Any]]:
    """Ask the daemon behind a socket for its instances, of this member of a cluster.

    Raises ``CollectorError`` when it does not answer in ``timeout`` seconds or not in its format.
    """
    deadline = time.monotonic() + timeout
    answer = _get(path, "/1.0/instances?recursion=1&all-projects=true", deadline)
    if answer is None:  # LXD before 3.19
        answer = _get(path, "/1.0/containers?recursion=1", deadline)
    if not isinstance(answer, list):
        raise CollectorError(f"{path}: the answer is not a list of instances")
    instances = [instance for instance in answer if isinstance(instance, dict)]
    if any(instance.get("location", "") not in _LOCAL for instance in instances):
        member = _member(_get(path, "/1.0", deadline))
        instances = [i for i in instances if i.get("location", "") in (*_LOCAL, member)]
    return instances


def _member(server: Any) -> str:
    environment = server.get("environment") if isinstance(server, dict) else None
    name = environment.get("server_name") if isinstance(environment, dict) else None
    return name if isinstance(name, str) else ""


def _get(path: str, url: str, deadline: float) -> Any:
    """Return the metadata of a response; None when the daemon does not have that URL."""
    try:
        status, body = _exchange(path, url, deadline)
    except OSError as error:
        raise CollectorError(f"{path}: {error.strerror or error}") from error
    if status == 404:
        return None
    if status != 200:
        raise CollectorError(f"{path}: HTTP status {status}")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CollectorError(f"{path}: the answer is not JSON") from error
    return answer.get("metadata") if isinstance(answer, dict) else None


def _exchange(path: str, url: str, deadline: float) -> tuple[int, bytes]:
    from http.client import HTTPException, HTTPResponse  # noqa: PLC0415 - few hosts need it

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_left(deadline))
        connection.connect(path)
        request = f"GET {url} HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        response = HTTPResponse(connection)
        try:
            response.begin()
            body = bytearray()
            while len(body) <= ANSWER_LIMIT:
                connection.settimeout(_left(deadline))
                chunk = response.read1(_CHUNK)
                if not chunk:
                    return response.status, bytes(body)
                body += chunk
        except HTTPException as error:
            raise CollectorError(f"{path}: the answer is not HTTP ({error!r})") from error
        finally:
            response.close()
    raise CollectorError(f"{path}: the answer is larger than {ANSWER_LIMIT} bytes")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left
