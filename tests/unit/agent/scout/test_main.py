"""The scout as a program of its own, as serve starts it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import wire
from agent.scout.progress import Progress
from tests.hosts.archive import load
from tests.support import CLONE

PATIENCE = 120.0


@pytest.fixture
def flags(tmp_path: Path) -> dict[str, object]:
    load((CLONE / "tests/hosts/v2.txt").read_text()).unpack(tmp_path)
    return {
        "path.procfs": str(tmp_path / "proc"),
        "path.sysfs": str(tmp_path / "sys"),
        "path.rootfs": str(tmp_path / "root"),
    }


@pytest.fixture
def scout() -> Iterator[subprocess.Popen[bytes]]:
    progress = Progress.create()
    with subprocess.Popen(
        [sys.executable, "-m", "agent.scout", str(progress.fd)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=(progress.fd,),
        cwd=CLONE,
    ) as process:
        yield process
        process.kill()
    progress.close()


def order(scout: subprocess.Popen[bytes], orders: wire.Orders) -> None:
    assert scout.stdin is not None
    scout.stdin.write(orders.to_line())
    scout.stdin.flush()


def test_a_one_shot_run_sends_the_inventory_and_ends(
    scout: subprocess.Popen[bytes], flags: dict[str, object]
) -> None:
    order(scout, wire.Orders(flags=flags, once=True))
    assert scout.stdout is not None
    updates = list(wire.Frames().feed(scout.stdout.read()))
    assert scout.wait(PATIENCE) == 0
    *_, last, end = updates
    assert end == wire.Ended()
    assert isinstance(last, wire.Update)
    assert last.complete
    assert last.everyone


def test_it_is_killed_first_when_memory_runs_out_and_ends_with_serve(
    scout: subprocess.Popen[bytes], flags: dict[str, object]
) -> None:
    order(scout, wire.Orders(flags=flags))
    assert scout.stdin is not None
    assert scout.stdout is not None
    assert scout.stdout.read(1), "it has begun"
    assert Path(f"/proc/{scout.pid}/oom_score_adj").read_text() == "500\n"
    scout.stdin.close()
    scout.stdout.close()
    assert scout.wait(PATIENCE) == 0
