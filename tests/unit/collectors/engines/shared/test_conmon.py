from __future__ import annotations

from collectors.engines.shared.conmon import exit_command, is_conmon, is_of_podman
from tests.support.processes import process


def test_a_conmon_is_known_by_its_binary() -> None:
    assert is_conmon(process(7, exe="/usr/bin/conmon"))
    assert not is_conmon(process(7, exe=None, comm="conmon"))
    assert not is_conmon(None)


def test_podmans_conmon_is_told_from_cri_os_by_its_exit_command_or_directory() -> None:
    assert is_of_podman(process(7, argv=("conmon", "--exit-command", "/usr/bin/podman")))
    assert is_of_podman(process(7, argv=("conmon", "--exit-dir", "/run/libpod/exits")))
    assert not is_of_podman(process(7, argv=("conmon", "--exit-dir", "/run/crio/exits")))


def test_the_exit_command_is_put_together_from_its_arguments() -> None:
    argv = ("conmon", "--exit-command-arg", "--root", "--exit-command-arg", "/srv")
    assert exit_command(process(7, argv=argv)) == ("podman", "--root", "/srv")
