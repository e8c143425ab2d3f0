from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collectors.engines.openvz.vzlist.bounds import without_absurd
from collectors.engines.openvz.vzlist.fields import parse_fields
from tests.support.openvz_node import CONTAINERS

if TYPE_CHECKING:
    from collectors.engines.openvz.vzlist.values import Fields, Value


@pytest.mark.parametrize("number", [4, 7])
def test_all_that_the_real_vzlist_printed_can_be(number: int) -> None:
    for fields in CONTAINERS[number]:
        assert without_absurd(fields) == (fields, ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iolimit", 1 << 31),
        ("iopslimit", 1 << 40),
        ("cpuunits", 7),
        ("cpuunits", 500_001),
        ("cpus", 8193),
        ("cpulimit", 819_201),
        ("uptime", 1e11),
        ("laverage", [0.5, 5e6, 0.5]),
    ],
)
def test_a_number_that_cannot_be_is_not_known(name: str, value: Value) -> None:
    fields: Fields = {"ctid": 101, "status": "running", name: value}
    assert without_absurd(fields) == ({"ctid": 101, "status": "running"}, (name,))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iolimit", -1),  # how %d prints UINT_MAX, which is not set
        ("iolimit", (1 << 31) - 1),
        ("cpuunits", 0),
        ("cpuunits", 8),
        ("cpuunits", 500_000),
        ("cpulimit", 819_200),
        ("uptime", 31_536_000.0),
        ("laverage", [250.0, 250.0, 250.0]),
        ("laverage", None),
        ("name", "1e99"),
    ],
)
def test_what_is_not_set_or_only_large_is_left_as_it_is(name: str, value: Value) -> None:
    assert without_absurd({name: value}) == ({name: value}, ())


def test_a_counter_loses_only_the_count_that_cannot_be() -> None:
    counter: Fields = {"held": 1 << 41, "maxheld": 5, "barrier": 1 << 60, "limit": 1 << 60}
    rest = {name: value for name, value in counter.items() if name != "held"}
    assert without_absurd({"physpages": dict(counter)}) == (
        {"physpages": rest},
        ("physpages.held",),
    )
    assert without_absurd({"kmemsize": dict(counter)})[1] == ()
    assert without_absurd({"numproc": dict(counter)})[1] == ("numproc.held",)


def test_a_quota_loses_only_a_use_that_cannot_be() -> None:
    quota: Fields = {"usage": (1 << 50) + 1, "softlimit": 1 << 51, "hardlimit": 1 << 51}
    fields, absurd = without_absurd({"diskspace": dict(quota)})
    assert fields == {"diskspace": {"softlimit": 1 << 51, "hardlimit": 1 << 51}}
    assert absurd == ("diskspace.usage",)


def test_a_container_says_which_numbers_it_lost() -> None:
    listed = parse_fields({"ctid": 101, "status": "running", "cpus": 1 << 20, "cpuunits": 1000})
    assert listed is not None
    assert (listed.facts.cpus, listed.facts.cpu_units, listed.absurd) == (None, 1000, ("cpus",))
