"""The rules on the first process."""

from __future__ import annotations

import pytest

from tests.support.subjects import (
    CRON,
    JOURNALD,
    NGINX,
    SSHD,
    Node,
    applet,
    booted,
    evidence_of,
    run,
    subject,
)


@pytest.mark.parametrize(
    ("tree", "rule"),
    [
        (booted(JOURNALD), "init.service_manager"),
        (run("supervisord", NGINX), "init.supervisor"),
        (run("tini", NGINX), "init.reaper"),
        (run("sh", NGINX, args="/start.sh"), "init.shell"),
        (run("sleep", args="infinity"), "init.waiting"),
        (NGINX, "init.program"),
        (run("nginx", SSHD, CRON), "init.program_among_others"),
    ],
)
def test_each_kind_of_first_process_has_a_rule(tree: Node, rule: str) -> None:
    of_init = {name for name in evidence_of(subject(tree)) if name.startswith("init.")}
    assert of_init - {"init.units"} == {rule}


def test_an_init_that_argv_alone_names_counts_half() -> None:
    tree = applet("init", applet("syslogd"), applet("crond"))
    assert evidence_of(subject(tree))["init.service_manager"].weight == 0.5
    whole = evidence_of(subject(booted(JOURNALD)))["init.service_manager"]
    assert whole.weight == 1.0
    assert whole.source == "/proc/1000/exe"


def test_units_are_counted_and_named() -> None:
    one = evidence_of(subject(booted(JOURNALD)))["init.units"].sentence
    assert one == "its init runs 1 unit in cgroups of their own: u0.service"
    five = evidence_of(subject(booted(*[JOURNALD] * 5)))["init.units"].sentence
    assert "5 units" in five
    assert "1 more" in five
