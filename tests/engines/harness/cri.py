"""A client of the Container Runtime Interface, as a kubelet is one: it makes pods.

crictl is in no Debian. The calls are gRPC over HTTP/2 (RFC 9113), and the few messages that a pod
needs are encoded here: https://github.com/kubernetes/cri-api, pkg/apis/runtime/v1/api.proto
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_STREAM = 1
_VARINT, _BYTES = 0, 2
_NODE = 2  # a NamespaceMode: the host's


class CriError(Exception):
    """A call failed; the reason is compressed, and in the engine's log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod sandbox."""

    handle: str
    config: bytes
    """As it was made; each of its containers repeats it."""


class Cri:
    """An engine behind its socket."""

    def __init__(self, path: Path, *, seconds: float = 300) -> None:
        self._path = path
        self._seconds = seconds

    def pod(self, name: str, *, cgroup_parent: str) -> Pod:
        """Start a pod on the host's network, in a slice."""
        metadata = _text(1, name) + _text(2, f"uid-{name}") + _text(3, "lab")
        network = _message(1, _number(1, _NODE))
        labels = {
            "io.kubernetes.pod.name": name,
            "io.kubernetes.pod.namespace": "lab",
            "io.kubernetes.pod.uid": f"uid-{name}",
        }
        config = (
            _message(1, metadata)
            + _text(3, f"/var/log/pods/{name}")
            + _map(6, labels)
            + _message(8, _text(1, cgroup_parent) + _message(2, network))
        )
        return Pod(handle=_first(self._call("RunPodSandbox", _message(1, config))), config=config)

    def start(self, pod: Pod, name: str, image: str, *command: str) -> str:
        """Start a container in a pod; return its id."""
        config = (
            _message(1, _text(1, name))
            + _message(2, _text(1, image))
            + b"".join(_text(3, word) for word in command)
            + _map(9, {"io.kubernetes.container.name": name})
            + _text(11, f"{name}.log")
        )
        made = _text(1, pod.handle) + _message(2, config) + _message(3, pod.config)
        handle = _first(self._call("CreateContainer", made))
        self._call("StartContainer", _text(1, handle))
        return handle

    def _call(self, method: str, message: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(self._seconds)
            connection.connect(str(self._path))
            headers = {
                ":method": "POST",
                ":scheme": "http",
                ":path": f"/runtime.v1.RuntimeService/{method}",
                ":authority": "localhost",
                "content-type": "application/grpc",
                "te": "trailers",
            }
            body = struct.pack(">BI", 0, len(message)) + message
            connection.sendall(
                _PREFACE
                + _frame(_SETTINGS, 0, 0, b"")
                + _frame(_HEADERS, _END_HEADERS, _STREAM, _fields(headers))
                + _frame(_DATA, _END_STREAM, _STREAM, body)
            )
            answer = _answer(connection)
        if not answer:
            raise CriError(f"{self._path}: {method} failed")
        return answer[5:]


def _answer(connection: socket.socket) -> bytes:
    """Return what comes as data until the stream ends."""
    data = b""
    while True:
        head = _exactly(connection, 9)
        kind, flags = head[3], head[4]
        payload = _exactly(connection, int.from_bytes(head[:3], "big"))
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            reply = b"" if kind == _SETTINGS else payload
            connection.sendall(_frame(kind, _ACK, 0, reply))
        elif kind == _DATA:
            data += payload
        elif kind in (_RESET, _GOAWAY):
            raise CriError(f"the connection was given up: {payload!r}")
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            return data


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise CriError("the connection was closed")
        data += more
    return data


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _fields(headers: Mapping[str, str]) -> bytes:
    """Encode header fields as literals without compression: RFC 7541, 6.2.2; each is short."""
    encoded = b""
    for name, value in headers.items():
        encoded += b"\0" + bytes([len(name)]) + name.encode()
        encoded += bytes([len(value)]) + value.encode()
    return encoded


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode()) if text else b""


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _map(number: int, pairs: Mapping[str, str]) -> bytes:
    return b"".join(
        _message(number, _text(1, name) + _text(2, value)) for name, value in pairs.items()
    )


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _first(message: bytes) -> str:
    """Return the first field of an answer, an id of less than 128 bytes."""
    return message[2 : 2 + message[1]].decode()
