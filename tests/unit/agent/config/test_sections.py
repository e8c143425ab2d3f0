from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.rules import Match
from agent.config.sections import Containers, parse_address
from tests.support.snapshots import LEGACY, WEB


def test_include_and_exclude() -> None:
    containers = Containers(include=(Match(engine="docker"),), exclude=(Match(name="leg*"),))
    assert containers.admits(WEB)
    assert not containers.admits(LEGACY)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        (":80", ("", 80)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@given(st.text())
def test_any_text_is_an_address_or_an_error(text: str) -> None:
    try:
        _, port = parse_address(text)
    except ValueError:
        return
    assert 0 <= port <= 65535
