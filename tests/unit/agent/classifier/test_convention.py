"""The style that each engine is made for."""

from __future__ import annotations

import pytest

from agent.classifier import expected_style
from agent.model import Style


@pytest.mark.parametrize(
    ("engine", "boots", "style"),
    [
        ("docker", None, Style.APP),
        ("docker", True, Style.APP),
        ("lxc", None, Style.SYSTEM),
        ("lxc", True, Style.SYSTEM),
        ("lxc", False, Style.APP),
        ("incus", False, Style.APP),
        ("libvirt-lxc", False, Style.APP),
        ("nspawn", True, Style.SYSTEM),
        ("nspawn", False, Style.APP),
        ("nspawn", None, Style.UNKNOWN),
        ("openvz", None, Style.SYSTEM),
        ("none", None, Style.UNKNOWN),
    ],
)
def test_conventions(engine: str, boots: bool | None, style: Style) -> None:
    assert expected_style(engine, boots) is style
