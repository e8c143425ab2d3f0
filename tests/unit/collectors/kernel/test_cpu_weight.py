from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.kernel.cpu_weight import curved_weight, linear_weight, shares_of_weight


@pytest.mark.parametrize(
    ("shares", "linear", "curved"),
    # What runc and crun wrote, before and since 1.3.2 and 1.23; 59, 100 and 174 are those of
    # Docker 28.5 with runc 1.3.6 and podman 5.8 with crun 1.28.
    [
        *((2, 1, 1), (512, 20, 59), (1024, 39, 100), (2000, 77, 170), (2048, 79, 174)),
        (262144, 10000, 10000),
    ],
)
def test_runtimes_write_one_of_two_weights(shares: int, linear: int, curved: int) -> None:
    assert (linear_weight(shares), curved_weight(shares)) == (linear, curved)


@pytest.mark.parametrize("shares", [2, 128, 256, 512, 768, 1024, 2000, 2048, 4096, 8192, 262144])
def test_round_shares_are_found_whichever_way_they_were_mapped(shares: int) -> None:
    assert shares_of_weight(curved_weight(shares)) == shares
    assert shares_of_weight(linear_weight(shares)) == shares


def test_the_default_weight_is_the_default_of_shares() -> None:
    assert shares_of_weight(100) == 1024


@given(st.integers(2, 262_144))
def test_the_engines_own_word_holds_while_the_weight_follows_from_it(shares: int) -> None:
    assert shares_of_weight(curved_weight(shares), shares) == shares
    assert shares_of_weight(linear_weight(shares), shares) == shares


def test_the_engines_word_does_not_hold_for_a_weight_that_was_changed() -> None:
    assert shares_of_weight(59, 1024) == 512
    assert shares_of_weight(100, 512) == 1024


@given(st.integers(0, 20_000), st.none() | st.integers(0, 1 << 40))
def test_every_weight_has_shares(weight: int, configured: int | None) -> None:
    assert 2 <= shares_of_weight(weight, configured) <= max(262_144, configured or 0)
