"""The list again, whenever something changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent import wire
from agent.cli.terminal import Screen, columns
from agent.cli.watch import Latest, frame
from agent.selection import Selection
from collectors.facts import HostFacts
from tests.support.snapshots import WEB, picture


def test_what_a_scout_sends_is_shown_when_it_is_complete() -> None:
    latest = Latest()
    assert latest.wait(0.0) is None
    latest.receive(wire.Update(host=HostFacts(), changed=(WEB,)))
    assert latest.wait(60.0) is None
    everyone = frozenset({WEB.id})
    latest.receive(wire.Update(host=HostFacts(), everyone=everyone, complete=True, fresh=True))
    snapshot = latest.wait(60.0)
    assert snapshot is not None
    assert list(snapshot.containers) == [WEB.id]
    renamed = replace(WEB, name="renamed")
    latest.receive(wire.Update(host=HostFacts(), changed=(renamed,), complete=True))
    again = latest.wait(60.0)
    assert again is not None
    assert again.containers[WEB.id].name == "renamed"


def test_a_scout_that_cannot_be_started_ends_it() -> None:
    latest = Latest()
    latest.fail(ValueError("no scout"))
    with pytest.raises(ValueError, match="no scout"):
        latest.wait(60.0)


def test_a_frame_fits_the_terminal() -> None:
    many = [replace(WEB, id=f"/{n}", name=f"web-{n}") for n in range(100)]
    lines = frame(picture(*many), Selection(), Screen(width=80), height=24)
    assert lines[0].startswith("\x1b[H\x1b[2JNAME")
    assert len(lines) == 23
    assert "more lines" in lines[-3]
    assert lines[-1].startswith("100 containers")
    assert all(columns(line) <= 80 for line in lines[1:])
