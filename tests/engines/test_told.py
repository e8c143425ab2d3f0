"""What engines that are made for servers were told to run decides what is expected of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.harness import managers, podman, systems
from tests.engines.harness.agent import tallyman
from tests.engines.harness.need import need

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.harness.made import Made

pytestmark = pytest.mark.engine

_WEB = ("/bin/httpd", "-f", "-p", "8080")
_SINGLE = "single_app_in_system_container"


def _explained(made: Made) -> dict[str, Any]:
    found = json.loads(tallyman("explain", str(made.pid), "--json"))
    assert isinstance(found, dict)
    assert found["name"] == made.name
    return found


def _findings(found: dict[str, Any]) -> set[str]:
    return {finding["name"] for finding in found["findings"]}


def _rules(found: dict[str, Any]) -> set[str]:
    return {piece["rule"] for piece in found["evidence"]}


def _is_what_was_told(found: dict[str, Any]) -> bool:
    assert (found["style"], found["expected_style"], found["mismatch"]) == ("app", "app", False)
    assert _SINGLE not in _findings(found)
    assert "provenance.system_engine" not in _rules(found)
    return True


def test_lxc_that_was_told_to_run_a_program() -> None:
    need("lxc-start", "busybox")
    with systems.lxc(*_WEB) as made:
        assert _is_what_was_told(_explained(made.wait_for("httpd")))


def test_lxc_execute_is_told_a_program_on_its_command_line_or_in_its_configuration() -> None:
    need("lxc-execute", "busybox")
    for configured in (False, True):
        with systems.lxc_execute(*_WEB, configured=configured) as made:
            found = _explained(made)
            assert _is_what_was_told(found)
            # liblxc's own init, the first process, is no program of the container.
            assert "init.reaper" in _rules(found)
            assert "several_applications" not in _findings(found)


def _busybox_init(root: Path) -> None:
    (root / "etc/inittab").write_text("::respawn:/bin/httpd -f -p 8080\n")
    (root / "sbin").mkdir()
    (root / "sbin/init").symlink_to("/bin/busybox")
    (root / "start").write_text("#!/bin/sh\nexec /bin/busybox init\n")
    (root / "start").chmod(0o755)


def test_a_server_that_was_made_by_hand_and_runs_one_program_keeps_its_finding() -> None:
    need("lxc-start", "busybox")
    with systems.lxc("/sbin/init", prepare=_busybox_init) as made:
        found = _explained(made.wait_for("httpd"))
        assert (found["style"], found["expected_style"]) == ("app", "system")
        assert _SINGLE in _findings(found)


def test_a_script_that_becomes_an_init_boots() -> None:
    need("lxc-start", "busybox")
    with systems.lxc("/start", prepare=_busybox_init) as made:
        assert _explained(made.wait_for("httpd"))["expected_style"] == "system"


def test_nspawn_boots_or_runs_a_program() -> None:
    need("systemd-nspawn", "busybox")
    with systems.nspawn(*_WEB) as made:
        assert _is_what_was_told(_explained(made))


def test_libvirt_runs_what_its_init_is() -> None:
    need("libvirtd", "virsh", "busybox")
    with managers.libvirt() as (made, idle):
        assert _is_what_was_told(_explained(made))
        stopped = json.loads(tallyman("explain", idle.name, "--json"))
        assert (stopped["expected_style"], stopped["mismatch"]) == ("app", False)


def test_a_toolbx_like_container_is_a_workshop_and_nothing_else() -> None:
    need("podman", "busybox")
    shared = ("--network=host", "--pid=host", "--ipc=host", "--pids-limit=-1")
    toolbx = "--label=com.github.containers.toolbox=true"
    with podman.podman() as engine:
        for mounts, expected in (
            (("--volume=/root:/root",), {"workshop"}),
            ((), {"shared_host_namespaces", "no_limits"}),
        ):
            made = engine.run("/bin/sleep", "86400", options=(*shared, toolbx, *mounts))
            found = _explained(made)
            assert (found["style"], found["expected_style"]) == ("app", "app")
            assert _findings(found) & {*expected, "workshop", "no_limits"} == expected
