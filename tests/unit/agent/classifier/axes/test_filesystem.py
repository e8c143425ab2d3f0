"""The rules on the root filesystem."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from collectors.facts import RootFacts
from tests.support.subjects import NGINX, NOW, evidence_of, subject


def rules(root: RootFacts | None, **container: Any) -> set[str]:
    inside = replace(subject(NGINX, **container), root=root)
    return {name for name in evidence_of(inside) if name.startswith("filesystem.")}


SYSTEM = RootFacts(os_id="debian", package_manager="dpkg", top_level=("bin",))


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (None, set()),
        (SYSTEM, set()),
        (replace(SYSTEM, layered=True), {"filesystem.layered"}),
        (replace(SYSTEM, layered=False), {"filesystem.own_disk"}),
        (replace(SYSTEM, init_present=True), {"filesystem.whole_system"}),
        (replace(SYSTEM, machine_id="abc"), {"filesystem.machine_id"}),
        (RootFacts(top_level=("server",)), {"filesystem.application_root"}),
        (RootFacts(), set()),
    ],
)
def test_what_a_root_filesystem_tells(root: RootFacts | None, expected: set[str]) -> None:
    assert rules(root) == expected


def test_the_machine_id_of_the_host_is_not_its_own() -> None:
    inside = replace(subject(NGINX), root=replace(SYSTEM, machine_id="abc"))
    as_the_host = replace(inside, host=replace(inside.host, machine_id="abc"))
    assert "filesystem.machine_id" not in evidence_of(as_the_host)


def test_packages_that_changed_later_than_a_day() -> None:
    changed = replace(SYSTEM, packages_changed=NOW)
    inside = replace(subject(NGINX, created=NOW - 2.5 * 86400), root=changed)
    assert evidence_of(inside)["filesystem.patched"].sentence == (
        "it was updated in place: dpkg packages changed 2 days after it was created"
    )
    assert rules(changed, created=NOW - 80_000) == set()
    assert rules(changed, created=None) == set()


def test_a_writable_layer_of_some_size() -> None:
    assert rules(None, writable_layer_bytes=256 << 20) == {"filesystem.grown"}
    assert rules(None, writable_layer_bytes=(256 << 20) - 1) == set()
