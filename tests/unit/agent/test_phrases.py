from __future__ import annotations

from dataclasses import replace

import pytest

from agent import phrases
from agent.model import Style, Verdict
from collectors.facts import HigherLimit, Limits
from tests.support.snapshots import WEB


@pytest.mark.parametrize(
    ("verdict", "expected", "sentence"),
    [
        (
            Verdict(style=Style.APP, score=-0.9, confidence=0.9),
            Style.APP,
            (
                "web is app-style: a single application, in an engine made for applications "
                "(docker; score -0.90, confidence 90 %)."
            ),
        ),
        (
            Verdict(style=Style.APP, score=-0.9, confidence=0.9),
            Style.UNKNOWN,
            "web is app-style: a single application (score -0.90, confidence 90 %).",
        ),
        (
            Verdict(style=Style.SYSTEM, score=0.3, confidence=0.2),
            Style.APP,
            (
                "web looks system-style: a small server of its own, although in an engine made "
                "for applications, but that is uncertain (docker; score +0.30, confidence 20 %)."
            ),
        ),
        (
            Verdict(),
            Style.APP,
            "web could not be judged: too little of it could be read.",
        ),
        (
            Verdict(score=0.4, services=2),
            Style.APP,
            "web may be a single application or a small server of its own: both readings are fair.",
        ),
        (
            Verdict(style=Style.APP, score=-1, confidence=1, override="name=w*"),
            Style.SYSTEM,
            "web is app-style because your configuration says so (name=w*).",
        ),
    ],
)
def test_verdicts_in_a_sentence(verdict: Verdict, expected: Style, sentence: str) -> None:
    container = replace(WEB, verdict=verdict, expected_style=expected)
    assert phrases.verdict(container) == sentence


@pytest.mark.parametrize(
    ("engine", "expected", "words"),
    [
        ("docker", Style.APP, "in an engine made for applications (docker;"),
        ("lxc", Style.SYSTEM, "although in an engine made for systems (lxc;"),
        ("lxc", Style.APP, "in an engine told to run a program (lxc;"),
        ("nspawn", Style.APP, "in an engine told to run a program (nspawn;"),
        ("nspawn", Style.SYSTEM, "although in an engine told to boot a system (nspawn;"),
    ],
)
def test_the_sentence_says_what_an_engine_was_told(
    engine: str, expected: Style, words: str
) -> None:
    verdict = Verdict(style=Style.APP, score=-0.9, confidence=0.9)
    container = replace(
        WEB,
        engine=engine,
        verdict=verdict,
        expected_style=expected,
        mismatch=expected is Style.SYSTEM,
    )
    assert words in phrases.verdict(container)


def test_ages_and_percents() -> None:
    assert [phrases.age(s) for s in (None, 0, 59, 60, 7200, 200_000)] == [
        "",
        "0s",
        "59s",
        "1m",
        "2h",
        "2d",
    ]
    assert [phrases.long_age(s) for s in (0.5, 1, 3600, 200_000)] == [
        "less than a second",
        "1 second",
        "1 hour",
        "2 days",
    ]
    assert [phrases.percent(r) for r in (0, 0.5, 0.999, 1)] == ["0 %", "50 %", "99 %", "100 %"]


def test_limits_say_which_cgroup_sets_them() -> None:
    limits = Limits(
        memory_bytes=100 << 20,
        memory_swap_bytes=0,
        cpu_quota_us=50,
        cpu_period_us=100,
        pids=7,
        higher=(
            HigherLimit(resource="memory", cgroup="/a\n.slice", value=100 << 20, binds=True),
            HigherLimit(resource="cpu", cgroup="/a.slice", value=2.0),
            HigherLimit(resource="pids", cgroup="", value=7, binds=True),
        ),
    )
    assert phrases.limits(replace(WEB, cgroups={"": "/x"}, limits=limits)) == (
        "memory 100 MiB (set by /a\\n.slice), swap 0 B, CPUs 0.5, "
        "processes 7 (set above all visible cgroups)"
    )
    both = Limits(memory_swap_bytes=3 << 29)
    on_v1 = replace(WEB, cgroups={"memory": "/x"}, limits=both)
    assert phrases.limits(on_v1) == "memory and swap 1.5 GiB"
    assert phrases.limits(replace(WEB, limits=Limits(cpu_shares=2))) == ""


@pytest.mark.parametrize(
    ("name", "version", "shown"),
    [
        ("", "", ""),
        ("Debian GNU/Linux 12 (bookworm)", "12", "Debian GNU/Linux 12 (bookworm)"),
        ("Alpine Linux v3.20", "3.20.3", "Alpine Linux v3.20 3.20.3"),
        ("Arch Linux", "", "Arch Linux"),
        ("", "7", "7"),
        ("x\x1b[31m", "\n", "x\\x1b[31m \\n"),
    ],
)
def test_operating_systems(name: str, version: str, shown: str) -> None:
    container = replace(WEB, os_name=name, os_version=version)
    assert phrases.operating_system(container) == shown
