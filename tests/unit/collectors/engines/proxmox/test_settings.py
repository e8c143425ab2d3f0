from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.proxmox.collector import sighting_of
from collectors.engines.proxmox.settings import bind_source, bridge, parse_settings
from collectors.facts import State


def test_settings_end_where_snapshots_begin() -> None:
    settings = parse_settings("#a%20b\nhostname: web\n[before]\nhostname: old\n")
    assert settings == {"hostname": "web", "description": "a b"}


def test_a_network_has_a_bridge_or_none() -> None:
    assert bridge("name=eth0,bridge=vmbr0,ip=dhcp") == "vmbr0"
    assert bridge("name=eth0") == "none"
    assert bridge("") == ""


def test_only_a_directory_of_the_host_is_a_bind_mount() -> None:
    assert bind_source("/tank/media,mp=/media") == "/tank/media"
    assert bind_source("local-lvm:vm-101-disk-1,mp=/data") == ""
    assert bind_source("/tank/media") == ""


@given(st.text())
def test_any_text_is_parsed(text: str) -> None:
    settings = parse_settings(text)
    assert sighting_of("1", settings, None, State.EXITED).engine_id == "1"
    assert len(settings.get("description", "")) <= 200
