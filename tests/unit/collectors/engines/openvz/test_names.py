from __future__ import annotations

import pytest

from collectors.engines.openvz.names import ctid_of_link
from tests.support.openvz_node import WEB


@pytest.mark.parametrize(
    ("target", "ctid"),
    [
        ("/etc/vz/conf/101.conf", "101"),
        (f"/vz/private/{WEB}/ve.conf", WEB),
        ("../conf/101.conf", "101"),
        ("/etc/vz/conf/0.conf", ""),
        ("/etc/passwd", ""),
        ("ve.conf", ""),
        ("", ""),
    ],
)
def test_whose_a_link_is(target: str, ctid: str) -> None:
    assert ctid_of_link(target) == ctid
