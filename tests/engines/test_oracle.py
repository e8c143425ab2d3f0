"""What the engines' own tools say is what is shown, while containers change at random."""

from __future__ import annotations

import pytest

from tests.engines.harness.need import need
from tests.soak.oracle.engines import NEEDS
from tests.soak.oracle.judge import Limits
from tests.soak.oracle.run import run
from tests.soak.oracle.seeds import ALWAYS

pytestmark = pytest.mark.engine

ENGINES = ("docker", "podman", "containerd", "runc", "crun", "lxc", "nspawn", "unshare")
"""Without those that need systemd, or longer for their start than all steps take."""
STEPS = 30
PATIENT = Limits(missing=8, value=20, retention=2)
"""Four times of what ``make soak`` allows: here it matters that nothing false stays, or is said for
a moment. How soon the page is right is for a quiet machine to say."""


@pytest.mark.parametrize("seed", ALWAYS)
def test_nothing_is_said_that_was_not_true_a_moment_ago(seed: int) -> None:
    need(*{program for name in ENGINES for program in NEEDS[name]})
    found = run(seed, ENGINES, lambda number: number == STEPS, limits=PATIENT)
    assert found.differences == [], found.report()
    assert found.looks["page"] > STEPS / 4
    assert found.looks["ls"]
