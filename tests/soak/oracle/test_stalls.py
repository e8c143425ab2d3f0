"""What counts as time that the machine kept an agent waiting."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tests.engines.harness.programs import wait_until
from tests.soak.oracle import stalls as module
from tests.soak.oracle.stalls import Stalls

if TYPE_CHECKING:
    import pytest


def test_what_an_emulated_cpu_takes_longer_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_count", lambda: 100 * module.USUAL)
    stalls = Stalls(lambda: [os.getpid()])
    began = time.monotonic()

    def has_lost() -> bool:
        sum(range(1_000_000))
        return stalls.by_kind(began, time.monotonic()).get("without a CPU", 0) > 0.3

    with stalls.measuring():
        wait_until(has_lost, "CPU seconds to be counted")
    assert stalls.before(time.monotonic(), 0.5) < time.monotonic() - 0.5
