from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli import check_kernel
from agent.cli.check_kernel import kernel_checks
from collectors import confined
from collectors.hostfs import HostFS


@pytest.fixture
def host(tmp_path: Path) -> HostFS:
    """A host of today."""
    for folder in ("proc/self/root", "proc/pressure", "proc/sys/kernel"):
        (tmp_path / folder).mkdir(parents=True)
    _write(tmp_path, "self/status", "Name:\tx\nNSpid:\t7\n")
    _write(tmp_path, "pressure/cpu", "")
    _write(tmp_path, "sys/kernel/osrelease", "6.12.0\n")
    _write(tmp_path, "cgroups", _cgroups(memory=1, cpu=1, pids=1))
    return HostFS(str(tmp_path / "proc"), str(tmp_path), str(tmp_path))


def _write(place: Path, name: str, text: str) -> None:
    (place / "proc" / name).write_text(text)


def _cgroups(**enabled: int) -> str:
    lines = [f"{name}\t3\t1\t{number}" for name, number in enabled.items()]
    return "\n".join(["#subsys_name\thierarchy\tnum_cgroups\tenabled", *lines, ""])


def lacking(host: HostFS) -> list[str]:
    checks = kernel_checks(host)
    for check in checks:
        assert check.good or (check.lost and check.remedy)
    return [check.name for check in checks if not check.good]


def test_where_nothing_is_missing_one_line_says_so(host: HostFS) -> None:
    assert [(one.name, one.good) for one in kernel_checks(host)] == [
        ("confined reads", True),
        ("kernel", True),
    ]
    assert "6.12.0" in kernel_checks(host)[1].found


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda place: _write(place, "self/status", "Name:\tx\n"), ["pids in namespaces"]),
        (lambda place: _write(place, "self/status", "Name:\tx\nVPid:\t7\n"), []),
        (lambda place: _write(place, "cgroups", _cgroups(memory=1, cpu=1)), ["controller pids"]),
        (
            lambda place: _write(place, "cgroups", _cgroups(memory=0, cpu=1, pids=1)),
            ["controller memory"],
        ),
        (lambda place: (place / "proc/cgroups").unlink(), []),
        (lambda place: (place / "proc/pressure/cpu").unlink(), ["pressure"]),
    ],
)
def test_what_the_kernel_lacks(
    host: HostFS, tmp_path: Path, change: Callable[[Path], None], names: list[str]
) -> None:
    change(tmp_path)
    assert lacking(host) == names


def test_without_openat2_paths_are_walked_and_nothing_is_lost(
    host: HostFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (confined, check_kernel):
        monkeypatch.setattr(module, "has_openat2", lambda: False)
    assert lacking(host) == []
    assert "step by step" in kernel_checks(host)[0].found


def test_where_mounts_cannot_be_told_apart(host: HostFS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_kernel, "tells_mounts_apart", lambda: False)
    assert lacking(host) == ["mounts"]


def test_where_inotify_is_refused(host: HostFS) -> None:
    gone = HostFS(host.procfs, host.sysfs, host.rootfs + "/nothing")
    assert lacking(gone) == ["inotify"]
