from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.nspawn.registration import parse_registration, read_registrations
from tests.support.processes import HOST
from tests.support.system_host import context, fixture


def test_registration_is_unescaped() -> None:
    registration = parse_registration(fixture("machines/my-box"))
    assert registration is not None
    assert registration.unit == "machine-my\\x2dbox.scope"
    assert registration.leader == 489


@given(st.text(), st.text())
def test_any_registration_is_read(name: str, rest: str) -> None:
    registration = parse_registration(f"NAME={name}\nLEADER=12\nSCOPE={rest}\n{rest}")
    assert registration is None or registration.name


def test_only_containers_are_returned_by_leader(tmp_path: Path) -> None:
    files = {
        "root/run/systemd/machines/web": "NAME=web\nLEADER=10\nCLASS=container\n",
        "root/run/systemd/machines/vm": "NAME=vm\nLEADER=11\nCLASS=vm\n",
        "root/run/systemd/machines/broken": "NAME=\nLEADER=x\n",
        "root/run/systemd/machines/unit:machine-web.scope": "->web",
    }
    registrations = read_registrations(context(tmp_path, HOST, [], files).host.root)
    assert {leader: r.name for leader, r in registrations.items()} == {10: "web"}
