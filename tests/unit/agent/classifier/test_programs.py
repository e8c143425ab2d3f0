"""What names of programs mean."""

from __future__ import annotations

import pytest

from agent.classifier.programs import Role, is_loader, lookup, unversioned


def test_versions_are_left_out() -> None:
    assert unversioned("php-fpm8.2") == "php-fpm"
    assert unversioned("python3.11") == "python"
    assert unversioned("7") == "7"
    assert lookup("apache2") == lookup("httpd")


@pytest.mark.parametrize(
    "name", ["ld-linux-x86-64.so.2", "qemu-aarch64-static", "ld-musl-x86_64.so.1"]
)
def test_loaders_and_emulators(name: str) -> None:
    assert is_loader(name)


@pytest.mark.parametrize("name", ["qemu-system-x86_64", "qemu-ga", "nginx"])
def test_machines_and_agents_of_qemu_are_not_emulators(name: str) -> None:
    assert not is_loader(name)


def test_names_that_a_package_begins() -> None:
    systemd, s6 = lookup("systemd-anything"), lookup("s6-anything")
    assert systemd is not None
    assert systemd.role is Role.PLUMBING
    assert s6 is not None
    assert s6.role is Role.UTILITY
    assert lookup("") is None
    assert lookup("no-such-program") is None
