from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent import phrases
from agent.cli.explain import (
    as_text,
    find,
    find_look_alikes,
    look_alike_text,
    suggestion,
)
from agent.cli.terminal import Screen
from collectors.facts import HigherLimit, Limits
from tests.support.snapshots import BAD, EVIL, INNER, LEGACY, SERVICE, WEB, picture

if TYPE_CHECKING:
    from agent.model import Container


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("web", [WEB]),
        (WEB.id, [WEB]),
        (WEB.engine_id, [WEB]),
        ("aaaaaa", [WEB]),
        ("4712", [LEGACY]),
        (EVIL, [BAD]),
        ("we", []),
        ("a", []),
        ("", []),
    ],
)
def test_ways_to_name_a_container(wanted: str, expected: list[Container]) -> None:
    assert find(picture(), wanted) == expected


def test_a_container_without_a_name_goes_by_its_short_id() -> None:
    digits = "0123456789abcdef" * 4
    nameless = replace(BAD, id=f"/machine.slice/libpod-{digits}.scope", engine_id="", name="")
    assert phrases.title(nameless) == "0123456789ab"
    for wanted in ("0123456789ab", f"libpod-{digits[:4]}"):
        assert find(picture(WEB, nameless), wanted) == [nameless]
    assert phrases.title(replace(nameless, id="/lxc/101")) == "101"


def test_a_name_comes_before_a_pid() -> None:
    named = replace(INNER, name="4711")
    assert find(picture(WEB, named), "4711") == [named]


def test_two_of_a_name_are_both_given() -> None:
    other = replace(BAD, name="web")
    assert find(picture(WEB, other), "web") == [WEB, other]


def test_what_is_not_a_container_is_found() -> None:
    for wanted in ("systemd-resolved", "33", SERVICE.cgroup):
        assert find_look_alikes(picture(), wanted) == [SERVICE]
    text = "\n".join(look_alike_text(SERVICE, Screen()))
    assert "systemd-resolved is not a container (service)." in text
    assert "the host's manager runs it" in text


def test_a_name_that_was_probably_meant() -> None:
    assert suggestion(picture(), "legcy") == "legacy"
    assert suggestion(picture(), "zzzzzzzzzzz") == ""


def test_a_mismatch_reads_like_a_colleague() -> None:
    text = "\n".join(as_text(LEGACY, picture(), Screen()))
    assert text.startswith(
        "legacy is system-style: a small server of its own, although in an engine made for "
        "applications (docker; score +0.93, confidence 90 %).\n"
        "docker, debian:12, running, for 15 minutes, pid 4712.\n"
    )
    assert "Inside it: inner." in text
    assert text.index("Evidence for system-style") < text.index("+2.50  init")
    assert text.index("+2.50  init") < text.index("Evidence against")
    assert text.index("Evidence against") < text.index("-0.50  provenance")
    assert "read from /proc/4712/exe" in text
    assert "docker_as_vm" in text
    assert "To do: " in text
    assert "Not known\n  The list of packages could not be read." in text


def test_each_axis_has_a_bar() -> None:
    lines = list(as_text(LEGACY, picture(), Screen()))
    init = next(line for line in lines if line.startswith("  init"))
    assert init.endswith("│███████████████████· +0.95")
    users = next(line for line in lines if line.startswith("  users"))
    assert users == "  users      ····················│····················"
    provenance = next(line for line in lines if line.startswith("  provenance"))
    assert provenance == "  provenance ················████│···················· -0.20"


def test_bars_on_a_plain_terminal() -> None:
    text = "\n".join(as_text(LEGACY, picture(), Screen(unicode=False)))
    assert "|###################. +0.95" in text


def test_the_operating_system_is_shown_where_known_and_what_says_nothing_is_not() -> None:
    def facts(container: Container) -> list[str]:
        return [line for line in as_text(container, picture(), Screen()) if line.startswith("Its ")]

    assert facts(WEB) == []
    assert facts(replace(WEB, os_name="Debian GNU/Linux 12 (bookworm)", os_version="12")) == [
        "Its operating system is Debian GNU/Linux 12 (bookworm)."
    ]
    assert facts(replace(WEB, default_route=False)) == []


def test_a_parent_is_named() -> None:
    assert "It runs inside legacy." in list(as_text(INNER, picture(), Screen()))


@pytest.mark.parametrize("width", [None, 60])
def test_strangers_words_are_harmless(width: int | None) -> None:
    lines = list(as_text(BAD, picture(), Screen(width=width)))
    assert all(line.isprintable() for line in lines)


def test_limits_are_shown_with_the_cgroup_that_sets_them() -> None:
    higher = HigherLimit(resource="memory", cgroup="/job", value=4096, binds=True)
    limited = replace(WEB, limits=Limits(memory_bytes=4096, higher=(higher,)))
    assert "Limits: memory 4 KiB (set by /job)." in "\n".join(
        as_text(limited, picture(limited), Screen())
    )
    assert "Limits" not in "\n".join(as_text(WEB, picture(WEB), Screen()))
