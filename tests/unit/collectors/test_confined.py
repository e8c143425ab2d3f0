from __future__ import annotations

import errno
import os
import random
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collectors import confined
from collectors.hostfs import Gone, HostFS, HostReadError

Outcome = tuple[str, object]


@pytest.fixture(params=["openat2", "walk"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to open, whichever this kernel would take."""
    name = str(request.param)
    if name == "openat2" and not confined.has_openat2():
        pytest.skip("this kernel has no openat2(2)")
    monkeypatch.setattr(confined, "has_openat2", lambda: name == "openat2")
    return name


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "secret").write_text("the host's")
    folder = tmp_path / "root"
    folder.mkdir()
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def outcome(opens: Callable[[int, str, int], int], root: int, path: str, flags: int) -> Outcome:
    """Return which file it leads to and how that is open, or the error."""
    before = len(os.listdir("/proc/self/fd"))
    try:
        fd = opens(root, path, flags)
    except OSError as error:
        assert len(os.listdir("/proc/self/fd")) == before, "a descriptor is left open"
        return "error", error.errno
    try:
        assert not os.get_inheritable(fd)
        assert len(os.listdir("/proc/self/fd")) == before + 1, "a descriptor is left open"
        status = os.fstat(fd)
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as lines:
            how = next(line for line in lines if line.startswith("flags:"))
        asked = int(how.split()[1], 8) & (os.O_PATH | os.O_ACCMODE | os.O_DIRECTORY)
        return "file", (status.st_dev, status.st_ino, asked & ~os.O_DIRECTORY)
    finally:
        os.close(fd)


NAMES = ("a", "b", "c", "d")
FLAGS = (
    os.O_PATH,
    os.O_PATH | os.O_NOFOLLOW,
    os.O_PATH | os.O_DIRECTORY,
    os.O_RDONLY | os.O_NONBLOCK,
    os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW,
    os.O_RDONLY | os.O_DIRECTORY,
)


def plant(folder: Path, dice: random.Random, depth: int) -> None:
    """Fill a folder with files, folders and links of every kind, at random."""
    for name in NAMES:
        path = folder / name
        match dice.choice("ddflllp."):
            case "d" if depth:
                path.mkdir()
                plant(path, dice, depth - 1)
            case "f":
                path.write_text("")
            case "p":
                os.mkfifo(path)
            case "l":
                path.symlink_to(random_path(dice))
            case _:
                pass


def random_path(dice: random.Random) -> str:
    words = dice.choices((*NAMES, "0", "..", ".", ""), k=dice.randint(1, 5))
    return dice.choice(("", "", "/", "../../")) + "/".join(words) or "/"


def test_the_walk_leads_to_where_openat2_leads(root: int, tmp_path: Path) -> None:
    if not confined.has_openat2():
        pytest.skip("this kernel has no openat2(2)")
    dice = random.Random(1)
    reached = set()
    for tree in range(8):
        (tmp_path / f"root/{tree}").mkdir()
        plant(tmp_path / f"root/{tree}", dice, 3)
        for _ in range(150):
            path, flags = f"{tree}/{random_path(dice)}", dice.choice(FLAGS)
            by_kernel = outcome(confined.open_in_root, root, path, flags)
            assert outcome(confined._walk, root, path, flags) == by_kernel, (path, flags)
            reached.add(by_kernel[1] if by_kernel[0] == "error" else "file")
    assert reached >= {"file", errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


def test_on_one_mount_both_ways_agree(root: int, tmp_path: Path) -> None:
    if not confined.has_openat2():
        pytest.skip("this kernel has no openat2(2)")
    dice = random.Random(2)
    plant(tmp_path / "root", dice, 3)
    flags = os.O_PATH | os.O_DIRECTORY
    for _ in range(300):
        path = "/".join(dice.choices(NAMES, k=dice.randint(1, 4)))
        by_kernel = outcome(confined.open_on_mount, root, path, flags)
        assert outcome(confined._walk_on_mount, root, path, flags) == by_kernel, path


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("path", ["../secret", "/../secret", "link", "loop", "x" * 300, "a\0b", ""])
def test_nothing_leads_out(root: int, tmp_path: Path, path: str) -> None:
    (tmp_path / "root/link").symlink_to(tmp_path / "secret")
    (tmp_path / "root/loop").symlink_to("loop")
    with pytest.raises(OSError, match=r"."):
        os.close(confined.open_in_root(root, path, os.O_RDONLY))


@pytest.mark.usefixtures("either_way")
def test_a_link_of_the_kernel_does_not_lead_out() -> None:
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match=r"."):
            os.close(confined.open_in_root(proc, "self/root/etc/passwd", os.O_RDONLY))
    finally:
        os.close(proc)


@pytest.mark.usefixtures("either_way")
def test_a_socket_is_only_found_and_not_opened(root: int, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "root/s"))
        fd = confined.open_in_root(root, "s", os.O_PATH)
        assert stat.S_ISSOCK(os.fstat(fd).st_mode)
        os.close(fd)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to mount")
@pytest.mark.usefixtures("either_way")
def test_another_mount_is_not_entered(tmp_path: Path) -> None:
    host = HostFS(rootfs=str(tmp_path))
    for name in ("inside/deep", "mounted"):
        (tmp_path / name).mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / "mounted"], check=True)
    try:
        host.root.open_below("inside/deep").close()
        with pytest.raises(Gone, match="another mount"):
            host.root.open_below("mounted")
        # A mount of the very same filesystem, which no device number tells apart.
        subprocess.run(["mount", "--bind", tmp_path, tmp_path / "inside/deep"], check=True)
        try:
            with pytest.raises(Gone, match="another mount"):
                host.root.open_below("inside/deep")
        finally:
            subprocess.run(["umount", tmp_path / "inside/deep"], check=True)
    finally:
        subprocess.run(["umount", tmp_path / "mounted"], check=True)


def test_where_mounts_cannot_be_told_apart_nothing_below_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inside").mkdir()
    monkeypatch.setattr(confined, "has_openat2", lambda: False)
    monkeypatch.setattr(confined, "_mount_id", lambda _: None)  # Linux before 3.15
    with pytest.raises(HostReadError):
        HostFS(rootfs=str(tmp_path)).root.open_below("inside")
