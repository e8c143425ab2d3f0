"""Files of a container that the agent reads: none may block it, fill it or lead out of the root."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import tallyman
from tests.hostile.conftest import only
from tests.hostile.stranger import stranger

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.conftest import Neighbour

pytestmark = pytest.mark.engine

READ = (
    "etc/os-release",
    "usr/lib/os-release",
    "etc/passwd",
    "etc/shadow",
    "etc/machine-id",
    "etc/inittab",
    "run/utmp",
    "var/lib/dpkg/status",
    "lib/apk/db/installed",
    "var/lib/rpm/rpmdb.sqlite",
)
"""Files of a container that the agent reads."""

LISTED = ("var/lib/dpkg/info", "run/systemd/sessions", "etc/runlevels/default")
"""Folders that it lists."""

SECRET = "tallyman-must-not-read-this-of-the-host"


def _fifos(root: Path) -> None:
    _each(root, os.mkfifo)


def _devices(root: Path) -> None:
    zero = os.makedev(1, 5)  # reads without end
    _each(root, lambda path: os.mknod(path, 0o20666, zero))


def _sockets(root: Path) -> None:
    _each(root, lambda path: os.mknod(path, 0o140666))


def _directories(root: Path) -> None:
    _each(root, os.mkdir)


def _loops(root: Path) -> None:
    _each(root, lambda path: os.symlink(Path(path).name, path))


def _out_of_the_root(root: Path) -> None:
    outside = root.parent / "secret"
    outside.write_text(f"ID={SECRET}\nPRETTY_NAME={SECRET}\n{SECRET}:$6$x:0:0::/:/bin/sh\n")
    up = "../" * 20 + str(outside).lstrip("/")
    _each(root, lambda path: os.symlink(up, path))


def _magic_links(root: Path) -> None:
    _each(root, lambda path: os.symlink("/proc/1/root/etc/passwd", path))


def _sparse(root: Path) -> None:
    def make(path: str) -> None:
        with open(path, "wb") as file:
            file.truncate(10 << 30)

    _each(root, make)


def _garbage(root: Path) -> None:
    noise = bytes(range(256)) * 400 + b"\n:::::\n" * 100 + b"\xff" * 1000
    _each(root, lambda path: Path(path).write_bytes(noise))


def _many_entries(root: Path) -> None:
    for folder, number in zip(LISTED, (100_000, 5_000, 5_000), strict=True):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for n in range(number):
            (root / folder / f"{n}.list").symlink_to("x")


def _each(root: Path, make: Callable[[str], object]) -> None:
    for name in READ:
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        make(str(path))


@pytest.mark.parametrize(
    "prepare",
    [
        _fifos,
        _devices,
        _sockets,
        _directories,
        _loops,
        _out_of_the_root,
        _magic_links,
        _sparse,
        _garbage,
        _many_entries,
    ],
    ids=lambda f: f.__name__.strip("_"),
)
def test_hostile_files(prepare: Callable[[Path], None], neighbour: Neighbour) -> None:
    with stranger(prepare=prepare) as made:
        row = neighbour.wait_row(made, style="app")
        page = neighbour.agent.scrape()
        explained = tallyman("explain", made.name)

        assert only(made).style == row.style
        assert SECRET not in page.text + explained
        neighbour.assert_unharmed(page)
        assert not neighbour.scouts_ended()
