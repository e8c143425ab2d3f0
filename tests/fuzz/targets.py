"""What is fuzzed: every parser of bytes that whoever is inside a container has a say in.

A target takes any bytes and gives a result or raises one of its named errors; anything else is a
finding. Lazy ones are read to their end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from agent.sanitize import escape_bytes, printable
from agent.web.answers import accepts_gzip
from agent.web.app import accepts_openmetrics
from collectors.engines.docker.sockets import parse_listening
from collectors.engines.incus.instance import parse_backup
from collectors.engines.libvirt_lxc.domain import parse_domain
from collectors.engines.lxc.config import parse_config
from collectors.engines.nspawn.registration import parse_registration
from collectors.engines.nspawn.settings import parse_settings
from collectors.engines.openvz import kernel as openvz
from collectors.engines.openvz.discovery import parse_paths
from collectors.engines.openvz.parameters import parse_parameters
from collectors.engines.openvz.vzlist.errors import VzlistError
from collectors.engines.openvz.vzlist.output import parse_output
from collectors.engines.proxmox.settings import parse_settings as parse_proxmox
from collectors.formats.bolt import BoltError, Bucket, parse_bolt
from collectors.formats.oci_spec import parse_spec
from collectors.kernel import network
from collectors.kernel.beancounters import parse_beancounters
from collectors.kernel.cgroups import parse_cgroup
from collectors.kernel.processes import parse_mountinfo, parse_stat, parse_status
from collectors.kernel.rootfs import count_logins, parse_accounts, parse_os_release

Target = Callable[[bytes], object]


def _text(parse: Callable[[str], object]) -> Target:
    return lambda data: parse(data.decode("utf-8", "surrogateescape"))


def _whole(parse: Callable[[bytes], Iterator[object]]) -> Target:
    return lambda data: deque(parse(data), maxlen=0)


def _may_raise(error: type[Exception], parse: Target) -> Target:
    def target(data: bytes) -> object:
        try:
            return parse(data)
        except error:
            return None

    return target


def _bolt(data: bytes) -> object:
    """Walk a database whose pages point where they like."""

    def walk(bucket: Bucket, depth: int) -> int:
        if depth > 4:
            return 0
        return 1 + sum(walk(inside, depth + 1) for _, inside in islice(bucket.buckets(), 50))

    return walk(parse_bolt(data), 0)


def _header(data: bytes) -> object:
    text = data.decode("latin-1")
    return accepts_openmetrics(text), accepts_gzip(text)


def _shown(data: bytes) -> object:
    text = data.decode("utf-8", "surrogateescape")
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    return escape_bytes(text).encode()


def _accounts(data: bytes) -> object:
    passwd, _, shadow = data.partition(b"\0")
    return parse_accounts(passwd, shadow)


def _listeners(data: bytes) -> object:
    return deque(network.parse_inet(data, "tcp", 10), maxlen=0)


TARGETS: dict[str, Target] = {
    "accounts": _accounts,
    "bolt": _may_raise(BoltError, _bolt),
    "cgroup": parse_cgroup,
    "header": _header,
    "incus": _text(parse_backup),
    "libvirt": parse_domain,
    "listening": _whole(parse_listening),
    "logins": count_logins,
    "lxc": _text(parse_config),
    "mountinfo": parse_mountinfo,
    "net_inet": _listeners,
    "net_routes": network.parse_routes,
    "net_trie": network.parse_fib_trie,
    "net_unix": _whole(network.parse_unix),
    "nspawn": _text(parse_registration),
    "nspawn_settings": _text(parse_settings),
    "oci_spec": parse_spec,
    "os_release": parse_os_release,
    "proxmox": _text(parse_proxmox),
    "shown": _shown,
    "stat": parse_stat,
    "status": parse_status,
    "vz_beancounters": parse_beancounters,
    "vz_parameters": _text(parse_parameters),
    "vz_paths": _text(parse_paths),
    "vz_quota": openvz.parse_vzquota,
    "vz_veinfo": openvz.parse_veinfo,
    "vz_vestat": openvz.parse_vestat,
    "vzlist": _may_raise(VzlistError, parse_output),
}
