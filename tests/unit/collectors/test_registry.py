from __future__ import annotations

from collectors import catalogue
from collectors.registry import COLLECTORS


def test_every_collector_of_the_catalogue_is_there_and_no_other() -> None:
    """The names are the flags ``--[no-]collector.NAME``: two of a name would hide one."""
    assert COLLECTORS.keys() == {collector.name for collector in catalogue.COLLECTORS}


def test_each_can_be_made_and_closed_without_a_host() -> None:
    for name, make in COLLECTORS.items():
        collector = make()
        assert collector.name == name
        collector.close()
