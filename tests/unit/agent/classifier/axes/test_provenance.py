"""The rules on where a container comes from."""

from __future__ import annotations

from typing import Any

import pytest

from agent.model import Style
from collectors.facts import ImageFacts, OpenvzFacts
from tests.support.subjects import NGINX, evidence_of, subject, verdict_of


@pytest.mark.parametrize(
    ("engine", "command", "style"),
    [
        ("docker", ("nginx",), Style.APP),
        ("docker", (), Style.APP),
        ("docker", ("/sbin/init",), Style.SYSTEM),
        ("lxc", (), Style.SYSTEM),
        ("openvz", (), Style.SYSTEM),
        ("lxc", ("/usr/bin/redis-server",), Style.UNKNOWN),
    ],
)
def test_what_never_ran_is_judged_by_what_its_engine_knows(
    engine: str, command: tuple[str, ...], style: Style
) -> None:
    verdict = verdict_of(subject(None, engine=engine, command=command))
    assert verdict.style is style
    assert verdict.confidence <= 0.35


def rules(**container: Any) -> set[str]:
    evidence = evidence_of(subject(NGINX, **{"engine": "none", **container}))
    return {name for name in evidence if name.startswith("provenance.")}


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, set()),
        ({"engine": "docker"}, {"provenance.application_engine"}),
        ({"engine": "lxc"}, {"provenance.system_engine"}),
        (
            {"engine": "lxc", "boots": True},
            {"provenance.system_engine", "provenance.told_to_boot"},
        ),
        (
            {"engine": "lxc", "boots": False},
            {"provenance.application_engine", "provenance.told_to_run"},
        ),
        ({"role": "infra"}, {"provenance.infra"}),
        ({"labels": {"com.docker.compose.project": "x"}}, {"provenance.orchestrated"}),
        ({"labels": {"role": "web"}}, set()),
        ({"image_facts": ImageFacts(digests=("sha256:1",))}, {"provenance.registry"}),
        ({"image_facts": ImageFacts()}, set()),
        ({"command": ("/sbin/init",)}, {"provenance.told_to_boot"}),
        ({"boots": True}, {"provenance.told_to_boot"}),
        ({"command": ("nginx",)}, {"provenance.told_to_run"}),
        ({"image_facts": ImageFacts(entrypoint=("nginx",))}, {"provenance.told_to_run"}),
        ({"hostname": "web01.example.com"}, {"provenance.server_name"}),
        ({"hostname": "web01."}, set()),
        ({"openvz": OpenvzFacts(ctid="101")}, {"provenance.template"}),
    ],
)
def test_what_each_fact_tells(container: dict[str, Any], expected: set[str]) -> None:
    assert rules(**container) == expected


def test_a_command_counts_less_when_processes_are_seen() -> None:
    seen = evidence_of(subject(NGINX, command=("nginx",)))["provenance.told_to_run"]
    unseen = evidence_of(subject(None, command=("nginx",)))["provenance.told_to_run"]
    assert (seen.weight, unseen.weight) == (-0.12, -0.4)


@pytest.mark.parametrize(
    ("engine", "boots", "sentence"),
    [
        ("docker", None, "docker is made for applications"),
        ("docker", True, "docker is made for applications"),
        ("lxc", None, "lxc is made for small servers"),
        ("lxc", False, "lxc was told to run a program, not to boot a system"),
        ("nspawn", False, "nspawn was told to run a program, not to boot a system"),
        ("nspawn", True, "nspawn was told to boot a system"),
    ],
)
def test_the_prior_says_what_an_engine_is_for_or_was_told(
    engine: str, boots: bool | None, sentence: str
) -> None:
    evidence = evidence_of(subject(NGINX, engine=engine, boots=boots))
    priors = {"provenance.application_engine", "provenance.system_engine"} & evidence.keys()
    assert [evidence[name].sentence for name in priors] == [sentence]
