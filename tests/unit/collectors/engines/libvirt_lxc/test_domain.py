from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.libvirt_lxc.domain import parse_domain


def domain(inside: str, kind: str = "lxc") -> bytes:
    return f"<domain type='{kind}'><name>d</name><uuid>u</uuid>{inside}</domain>".encode()


@pytest.mark.parametrize(
    ("devices", "network"),
    [
        ("<features><privnet/></features>", "none"),
        ("", "host"),
        ("<devices><interface type='network'><source network='lan'/></interface></devices>", "lan"),
        ("<devices><interface type='bridge'><source bridge='br0'/></interface></devices>", "br0"),
        ("<devices><interface type='ethernet'/></devices>", "ethernet"),
    ],
)
def test_network(devices: str, network: str) -> None:
    parsed = parse_domain(domain(devices))
    assert parsed is not None
    assert parsed.network == network


def test_directories() -> None:
    parsed = parse_domain(
        domain(
            "<devices>"
            "<filesystem><source dir='/srv/d'/><target dir='/data'/></filesystem>"
            "<filesystem><source dir='/srv/r'/><target dir='/'/></filesystem>"
            "<filesystem type='ram'><source usage='1'/><target dir='/tmp'/></filesystem>"
            "</devices>"
        )
    )
    assert parsed is not None
    assert (parsed.rootfs, parsed.mounts) == ("/srv/r", ("/srv/d",))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<domain",
        b"<domain type='lxc'/>",
        b"<domstatus/>",
        b"<!DOCTYPE d [<!ENTITY a 'aaaa'>]>" + domain("&a;"),
        "<?xml version='1.0' encoding='utf-16'?><!DOCTYPE d []>".encode("utf-16"),
    ],
)
def test_what_is_no_domain(data: bytes) -> None:
    assert parse_domain(data) is None


@given(st.binary())
def test_any_bytes_are_read(data: bytes) -> None:
    parsed = parse_domain(data)
    assert parsed is None or parsed.name
