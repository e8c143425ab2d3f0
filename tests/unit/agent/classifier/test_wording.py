"""How evidence is worded."""

from __future__ import annotations

import pytest

from agent.classifier import read_scene
from agent.classifier.wording import listed, plural, service_names
from tests.support.subjects import CRON, SSHD, applet, run, subject


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ((), ""),
        (("a",), "a"),
        (("b", "a", "b"), "a and b"),
        (("c", "b", "a"), "a, b and c"),
        (tuple("abcdefgh"), "a, b, c, d, e, f and 2 more"),
    ],
)
def test_lists(names: tuple[str, ...], text: str) -> None:
    assert listed(names) == text


def test_numbers() -> None:
    assert plural(1, "process") == "1 process"
    assert plural(2, "process") == "2 processes"
    assert plural(0, "day") == "0 days"


def test_services_stand_with_what_speaks_against_them() -> None:
    scene = read_scene(subject(run("sh", SSHD, CRON, applet("syslogd"))))
    assert service_names(scene.os_services) == (
        "cron and sshd; syslogd (by argv alone, as busybox is many programs)"
    )
