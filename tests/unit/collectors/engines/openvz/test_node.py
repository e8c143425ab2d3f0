from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from collectors.contract import CollectorError
from collectors.engines.openvz.collector import OpenvzCollector
from collectors.facts import State
from tests.support.openvz_node import (
    BOOT_TIME,
    NOW,
    WEB,
    AskedNode,
    context,
    remove,
)


class TestQuietPasses:
    def test_numbers_are_good_for_a_while(self, bare: AskedNode) -> None:
        first = bare.look()
        second = bare.look(now=NOW + 5, full=False)
        assert all(second[c] is sighting for c, sighting in first.items())
        ctid = {4: "101", 7: WEB}[bare.number]
        third = bare.look(now=NOW + 15, full=False)[ctid].openvz
        assert third is not None
        assert third.as_of == NOW + 15

    def test_what_stops_is_seen_at_once(self, node4: AskedNode) -> None:
        node4.look()
        veinfo = node4.path / "proc/vz/veinfo"
        rows = veinfo.read_text().splitlines(keepends=True)
        veinfo.write_text("".join(row for row in rows if row.split()[0] != "777"))
        remove(node4.path / "proc/4200")
        assert node4.look(now=NOW + 5, full=False)["777"].state is not State.RUNNING

    def test_a_failure_is_no_good_for_a_while(self, tmp_path: Path) -> None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "sys").mkdir()
        collector = OpenvzCollector()
        for now in (NOW, NOW + 5):
            ctx = context(tmp_path, now=now, full=False, vzlist_file=str(tmp_path / "none"))
            with pytest.raises(CollectorError):
                collector.collect(ctx)


def test_a_light_pass_sees_what_starts(bare: AskedNode) -> None:
    bare.look()
    veinfo = bare.path / "proc/vz/veinfo"
    with veinfo.open("a") as file:
        file.write("       120     0     7\n")
    light = replace(bare.context(now=NOW + 1), full=False)
    assert "120" in {s.engine_id for s in bare.collector.collect(light)}
    assert BOOT_TIME < NOW
