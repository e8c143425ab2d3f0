from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.incus.instance import Instance, from_api, parse_backup, parse_time
from tests.support.system_host import fixture

CREATED = 1795459619.1032


def test_backup_yaml_is_read_by_indentation() -> None:
    found = parse_backup(fixture("lxd-backup.yaml"))
    assert found is not None
    assert found.image == "busybox/lab"
    assert found.created == pytest.approx(CREATED)
    assert found.boots is True
    assert found.ephemeral is False
    assert found.config["security.privileged"] == "true"
    assert "description" not in found.config


def test_what_users_write_does_not_pass_for_keys() -> None:
    found = parse_backup(
        "instance:\n"
        "  config:\n"
        "    user.user-data: |-\n"
        "      #cloud-config\n"
        '      volatile.container.oci: "true"\n'
        "    user.note: 'it''s: \"mine\"'\n"
        '    volatile.container.oci: "true"\n'
        "    image.id: docker.io/library/nginx:latest\n"
        "  ephemeral: true\n"
        "  name: web\n"
        "  type: container\n"
        "snapshots:\n"
        "- name: s1\n"
        "  config:\n"
        "    image.id: other\n"
    )  # fmt: skip
    assert found is not None
    assert found.boots is False
    assert found.ephemeral is True
    assert found.image == "docker.io/library/nginx:latest"
    assert found.labels["user.note"] == 'it\'s: "mine"'


def test_other_files_are_no_backup() -> None:
    assert parse_backup("") is None
    assert parse_backup("pool:\n  name: default\n") is None


def test_an_instance_without_anything() -> None:
    name, instance = from_api({})
    assert name == ""
    assert instance == Instance()
    assert instance.image == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-23T18:46:59.103200168Z", CREATED),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times(text: str, seconds: float | None) -> None:
    assert parse_time(text) == (pytest.approx(seconds) if seconds else None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    max_leaves=8,
)


KEYS = st.sampled_from(["name", "project", "type", "created_at", "config", "expanded_config"])


@given(st.dictionaries(KEYS, JSON))
def test_any_answer_is_read(instance: dict[str, Any]) -> None:
    name, found = from_api(instance)
    assert isinstance(name, str)
    assert all(isinstance(v, str) for v in found.config.values())
    assert isinstance(found.image, str)


@given(st.text())
def test_any_backup_is_read(text: str) -> None:
    found = parse_backup("container:\n  name: a\n  config:\n    " + text)
    assert found is not None
    assert isinstance(found.image, str)


@pytest.mark.parametrize(
    ("config", "command", "boots"),
    [
        ({}, (), True),
        ({"volatile.container.oci": "true"}, (), False),
        (
            {
                "volatile.container.oci": "true",
                "oci.entrypoint": "/entry.sh nginx -g 'daemon off;'",
            },
            ("/entry.sh", "nginx", "-g", "daemon off;"),
            False,
        ),
        (
            {"volatile.container.oci": "true", "oci.entrypoint": "/sbin/init"},
            ("/sbin/init",),
            False,
        ),
        ({"raw.lxc": "lxc.init.cmd = /usr/bin/redis-server"}, ("/usr/bin/redis-server",), False),
        ({"raw.lxc": "lxc.a = b\nlxc.init.cmd=/sbin/init\n"}, ("/sbin/init",), True),
        ({"raw.lxc": "lxc.init.cmd = /init"}, ("/init",), None),
    ],
)
def test_what_it_was_told_to_run(
    config: dict[str, str], command: tuple[str, ...], boots: bool | None
) -> None:
    instance = Instance(config=config)
    assert instance.command == command
    assert instance.boots is boots
