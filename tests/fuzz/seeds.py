"""What each target begins with: what the real programs and kernels wrote, from tests/fixtures.

A fuzzer that begins with nothing does not get past the first field of a line.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

from tests.support.openvz_node import load_cases

_FIXTURES = Path(__file__).parents[1] / "fixtures"
_NODES = [json.loads((_FIXTURES / f"openvz/node-{n}.json").read_text()) for n in (4, 7)]

_ACCOUNTS = b"""root:x:0:0:root:/root:/bin/bash
ann:x:1000:1000::/home/ann:/bin/sh
\0root:*:1::::::
ann:$y$abc:1::::::
"""
_UNIX = b"""Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 28115 /run/docker.sock
0000000000000000: 00000003 00000000 00000000 0001 03 28700 @/tmp/x
"""
_TCP = b"""  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31337 1
   1: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 31338 1
"""
_ROUTES = b"""Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""
_TRIE = b"""Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 172.17.0.0/16 2 0 2
        |-- 172.17.0.2
           /32 host LOCAL
Local:
  +-- 127.0.0.0/8 2 0 2
     |-- 127.0.0.1
        /32 host LOCAL
"""
_CGROUPS = b"""12:cpu,cpuacct:/docker/0123456789ab
1:name=systemd:/system.slice/ssh.service
0::/user.slice/user-1000.slice
"""
_NSPAWN = b"""[Exec]
Boot=yes
PrivateUsers=pick

[Files]
Bind=/srv/data:/data

[Network]
VirtualEthernet=yes
Port=tcp:8080:80
"""
_OS_RELEASE = b"""NAME="Debian GNU/Linux"
ID=debian
ID_LIKE='a "b"'
VERSION_ID="12"
"""
_ACCEPT = (
    b"application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1,"
    b"text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def seeds(name: str) -> list[bytes]:
    """Return what the target of this name begins with."""
    return _WRITTEN_HERE[name] if name in _WRITTEN_HERE else _found(name)


def _found(name: str) -> list[bytes]:
    if name in _FILES:
        files = [file for pattern in _FILES[name] for file in sorted(_FIXTURES.glob(pattern))]
        return [file.read_bytes() for file in files]
    if name in _NODE_FILES:
        ends = _NODE_FILES[name]
        return [
            content.encode()
            for node in _NODES
            for path, content in node.items()
            if path.endswith(ends) and isinstance(content, str)
        ]
    return [case.stdout for version in _VERSIONS for case in load_cases(version).values()]


_VERSIONS = ("4.11.1", "7.0.254")
"""Of vzlist, whose outputs are what is left."""

_WRITTEN_HERE = {
    "accounts": [_ACCOUNTS],
    "bolt": [],
    "cgroup": [_CGROUPS],
    "header": [_ACCEPT, b"gzip;q=1.0, identity; q=0.5, *;q=0"],
    "listening": [_UNIX],
    "logins": [struct.pack("<hxxi32s", 7, 4711, b"pts/0").ljust(384, b"\0")],
    "net_inet": [_TCP],
    "net_routes": [_ROUTES],
    "net_trie": [_TRIE],
    "net_unix": [_UNIX],
    "nspawn_settings": [_NSPAWN],
    "os_release": [_OS_RELEASE],
    "shown": ["a\x1b[31mb\u202ec\n".encode()],
}

_FILES = {
    "incus": ["system/lxd-backup.yaml"],
    "libvirt": ["system/libvirt-*.xml"],
    "lxc": ["system/lxc-busybox.config"],
    "mountinfo": ["system/*.mountinfo"],
    "nspawn": ["system/machines/*"],
    "oci_spec": ["oci/**/config.json"],
    "proxmox": ["system/proxmox-101.conf"],
}

_NODE_FILES = {
    "stat": "/stat",
    "status": "/status",
    "vz_beancounters": ("user_beancounters", "/resources"),
    "vz_parameters": (".conf",),
    "vz_paths": (".conf",),
    "vz_quota": ("vzquota",),
    "vz_veinfo": ("veinfo",),
    "vz_vestat": ("vestat",),
}
