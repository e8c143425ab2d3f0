from __future__ import annotations

import pytest

from collectors.engines.openvz.units import addresses, flag, is_ctid, template


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("101", True),
        ("3d32522a-80af-4773-b9fa-ea4915dee4b3", True),
        ("0", False),
        ("-5", False),
        ("1e3", False),
        ("../x", False),
        ("", False),
    ],
)
def test_a_ctid_is_a_number_or_a_uuid(text: str, is_one: bool) -> None:
    assert is_ctid(text) is is_one


def test_addresses_lose_their_mask_and_their_doubles() -> None:
    words = ["192.0.2.1/24", "192.0.2.1", "2001:DB8:0::1", "nonsense", None]
    assert addresses(words) == ("192.0.2.1", "2001:db8::1")


def test_a_flag_is_yes_or_no() -> None:
    assert (flag("yes"), flag("No"), flag("maybe")) == (True, False, None)


def test_a_template_has_no_dot_in_front() -> None:
    assert (template(".debian-12"), template("-"), template("centos")) == (
        *("debian-12", "", "centos"),
    )
