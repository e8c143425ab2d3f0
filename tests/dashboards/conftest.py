"""A Prometheus with an hour of the demo's history in it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from dashboards.demo.history import write_history
from dashboards.demo.roster import HOUR
from dashboards.demo.server import Prometheus
from dashboards.demo.world import World
from tests.dashboards.server import Api
from tests.engines.harness.agent import free_port
from tests.engines.harness.need import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = 60.0
END = 1_790_000_000.0
"""Some round minute; blocks of any age can be asked."""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Return the demo at the end of its history: nothing is scraped, so it never changes."""
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        lacking("prometheus is not installed")
    place = tmp_path_factory.mktemp("demo")
    server = Prometheus(place, f"127.0.0.1:{free_port()}", {}, STEP)
    history = place / "history.om"
    with history.open("w") as out:
        write_history(out, World(END, -HOUR), STEP)
    server.load(history)
    try:
        server.record(END - HOUR, END)
        server.start()
        yield Api(server.url, END)
    finally:
        server.stop()
