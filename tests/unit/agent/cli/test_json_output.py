from __future__ import annotations

import json
from dataclasses import replace

from agent.cli.json_output import explained, listed
from agent.selection import Selection
from tests.support.snapshots import BAD, INNER, LEGACY, WEB, picture

PROMISED = {
    "id",
    "name",
    "engine",
    "image",
    "state",
    "style",
    "expected_style",
    "score",
    "confidence",
    "pid",
    "cgroup",
    "parent_id",
}


def test_json_has_what_is_promised() -> None:
    for entry in listed(picture(), Selection(everything=True)):
        assert entry.keys() >= PROMISED
    web = listed(picture(WEB), Selection())[0]
    assert web["pid"] == 4711
    assert (web["style"], web["expected_style"]) == ("app", "app")
    assert (web["score"], web["confidence"]) == (-0.91, 0.87)


def test_json_has_the_operating_system_and_the_default_route() -> None:
    container = replace(WEB, os_name="Debian 12", os_version="12", default_route=False)
    (shown,) = listed(picture(container), Selection())
    assert (shown["os_name"], shown["os_version"]) == ("Debian 12", "12")
    assert shown["default_route"] is False
    assert listed(picture(WEB), Selection())[0]["default_route"] is None


def test_json_of_what_does_not_run() -> None:
    (inner,) = listed(picture(INNER), Selection())
    assert inner["pid"] is None
    assert inner["parent_id"] == LEGACY.id


def test_json_of_what_is_not_a_container() -> None:
    (other,) = listed(picture(), Selection(styles=frozenset({"none"})))
    assert other["style"] == "none"
    assert other["reason"] == "the host's manager runs it"
    assert other["kind"] == "service"


def test_json_is_valid_whatever_containers_are_called() -> None:
    for value in (listed(picture(), Selection()), explained(BAD, picture())):
        text = json.dumps(value)
        assert text.isascii()
        assert "\\ud" not in text.replace("\\ud83d", "")


def test_json_has_the_evidence() -> None:
    found = explained(LEGACY, picture())
    assert found["style"] == "system"
    assert found["axes"] == {"init": 0.95, "provenance": -0.2}
    assert isinstance(found["evidence"], list)
    assert found["evidence"][1]["source"] == "/proc/4712/exe"
    assert found["unseen"] == ["the list of packages could not be read"]
    assert isinstance(found["findings"], list)
    assert found["findings"][0]["advice"]
    assert [f["severity"] for f in found["findings"]] == ["warning", "advice"]
