"""A person's shell, and one that only runs what it was given."""

from __future__ import annotations

import pytest

from agent.classifier.shells import is_interactive
from tests.support.processes import process

_TTY = 34816


def shell(argv: str, tty: int) -> bool:
    return is_interactive(process(10, argv=tuple(argv.split(" ")), tty=tty))


@pytest.mark.parametrize(
    "argv",
    [
        *("sh", "-bash", "bash -l", "bash --login -o vi", "bash +O extglob", "/bin/ash", "zsh -f"),
        *("busybox sh", "/bin/busybox ash -l", "bash --rcfile /etc/rc -i", "sh -s", "sh -eu"),
    ],
)
def test_a_shell_at_a_terminal_waits_for_a_person(argv: str) -> None:
    assert shell(argv, _TTY)


@pytest.mark.parametrize(
    "argv",
    [
        *("sh -c sleep", "bash -lc true", "bash -ic true", "sh -ec true", "/bin/sh /check.sh"),
        *("bash --norc /check.sh", "busybox sh -c true", "sh -o errexit -c true", "bash -x a"),
        *("fish --command true", "sh -- /check.sh"),
    ],
)
def test_a_shell_that_was_given_its_commands_does_not(argv: str) -> None:
    assert not shell(argv, _TTY)
    assert not shell(argv, 0)


def test_without_a_terminal_a_person_must_say_so() -> None:
    assert not shell("bash", 0)
    assert not shell("sh -s", 0)
    assert shell("bash -i", 0)
    assert shell("bash -il", 0)
    assert shell("bash --rcfile /etc/rc -i", 0)
