"""What ``tallyman check`` says is lost without a capability is lost, and nothing else is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.harness.agent import TALLYMAN
from tests.engines.harness.bare import sleeping_in
from tests.engines.harness.need import need
from tests.engines.harness.programs import run, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.dockerd import Docker
    from tests.engines.harness.made import Made

pytestmark = pytest.mark.engine

ROOT = "root"
"""A Docker container of root's, with Docker's capabilities."""
USER = "user"
"""One of another user's."""
PRIVATE = "private"
"""One without an engine, whose root filesystem only another user may read."""
FIREWALL = "firewall"
"""One with a firewall rule of its own."""


def without(*capabilities: str) -> tuple[str, ...]:
    """Give the words that run a command as root without these."""
    names = ",".join(f"-{name}" for name in capabilities)
    return ("setpriv", f"--bounding-set={names}", f"--inh-caps={names}") if names else ()


def ask(drop: tuple[str, ...], *words: str) -> Any:
    """Run tallyman as root without some capabilities, and give what it says as JSON.

    None where it knows no such container.
    """
    done = subprocess.run(
        [*drop, str(TALLYMAN), *words, "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode == 1 and "no container is called" in done.stderr:
        return None
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


class Scene:
    """Four containers, and what is known of them."""

    def __init__(self, made: dict[str, Made], docker: Docker) -> None:
        self.made = made
        self.flag = f"--collector.docker.host={docker.endpoint}"

    def known(self, drop: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """Give what ``explain`` says of each, but for how full its disk is just now."""
        found = {}
        for name, made in self.made.items():
            said = ask(drop, "explain", str(made.pid), self.flag)
            if said is None:
                continue
            rules = {evidence["rule"] for evidence in said["evidence"]}
            found[name] = {
                "style": said["style"],
                "rules": rules,
                "unseen": set(said["unseen"]),
                "name": said["name"],
                "image": said.get("image"),
            }
        return found

    def lost(self, drop: tuple[str, ...]) -> set[str]:
        """Give the names of the capabilities that ``check`` says are missing."""
        checks = ask(drop, "check", self.flag)
        return {one["name"] for one in checks if not one["ok"] and one["name"].startswith("CAP_")}


@pytest.fixture(scope="module")
def scene(dockerd: Docker) -> Iterator[Scene]:
    need("setpriv", "busybox", "nsenter", "iptables", "unshare", "chroot")
    httpd = ("httpd", "-f", "-p", "8000")
    try:
        with private_root() as private:
            made = {
                ROOT: dockerd.run(dockerd.busybox(), *httpd),
                USER: dockerd.run(dockerd.busybox(), *httpd, options=("--user=1000:1000",)),
                FIREWALL: dockerd.run(dockerd.busybox(), *httpd),
                PRIVATE: private,
            }
            rule = ("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "81", "-j", "DROP")
            run("nsenter", "-t", str(made[FIREWALL].pid), "-n", *rule)
            yield Scene(made, dockerd)
    finally:
        dockerd.remove_all()


@contextmanager
def private_root() -> Iterator[Made]:
    with workplace("private") as place:
        root = place / "root"
        for folder in ("bin", "etc"):
            (root / folder).mkdir(parents=True)
        busybox = shutil.which("busybox")
        assert busybox is not None
        shutil.copy(busybox, root / "bin/sleep")
        (root / "etc/os-release").write_text("ID=private\n")
        # It speaks for a system, so that it is missed where it cannot be read.
        (root / "etc/machine-id").write_text("4711" * 8 + "\n")
        (root / "sbin").mkdir()
        shutil.copy(busybox, root / "sbin/init")
        os.chmod(root, 0o700)
        os.chown(root, 4711, 4711)
        words = ("unshare", "--mount", "--pid", "--fork", "chroot", root)
        with sleeping_in("none", *words) as made:
            yield made


@pytest.fixture(scope="module")
def whole(scene: Scene) -> dict[str, dict[str, Any]]:
    known = scene.known(())
    assert {name: said["unseen"] for name, said in known.items()} == {name: set() for name in known}
    assert scene.lost(()) == set()
    return known


def changed(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name in before if before[name] != after.get(name)}


@pytest.mark.parametrize(
    ("capabilities", "said", "less_known"),
    [
        (("sys_ptrace",), {"CAP_SYS_PTRACE"}, {USER, PRIVATE}),
        (("dac_read_search", "dac_override"), {"CAP_DAC_READ_SEARCH"}, {PRIVATE}),
        (("sys_admin",), {"CAP_SYS_ADMIN"}, {FIREWALL}),
        (("net_admin",), {"CAP_SYS_ADMIN"}, {FIREWALL}),
        (("setuid", "setgid"), {"CAP_SETUID"}, set()),
        (("chown", "fowner", "kill", "sys_resource", "net_raw", "syslog", "mknod"), set(), set()),
    ],
)
def test_what_is_lost_is_lost_and_nothing_else(
    scene: Scene,
    whole: dict[str, dict[str, Any]],
    capabilities: tuple[str, ...],
    said: set[str],
    less_known: set[str],
) -> None:
    drop = without(*capabilities)
    assert scene.lost(drop) == said
    known = scene.known(drop)
    assert changed(whole, known) == less_known
    # Nobody's verdict turns for it, and only without ptrace(2) is one missed that no engine knows.
    assert all(said["style"] == whole[name]["style"] for name, said in known.items())
    assert whole.keys() - known.keys() == ({PRIVATE} if "sys_ptrace" in capabilities else set())


def test_dockers_socket_is_not_needed_for_a_name_or_a_verdict(
    scene: Scene, whole: dict[str, dict[str, Any]], dockerd: Docker
) -> None:
    socket = dockerd.endpoint.removeprefix("unix://")
    before = os.stat(socket)
    os.chown(socket, 4711, 4711)
    os.chmod(socket, 0o600)
    drop = without("dac_override")
    try:
        checks = {one["name"]: one for one in ask(drop, "check", scene.flag)}
        known = scene.known(drop)
    finally:
        os.chown(socket, before.st_uid, before.st_gid)
        os.chmod(socket, before.st_mode & 0o777)
    assert not checks["collector docker"]["ok"]
    assert "permission denied" in checks["collector docker"]["found"]
    for name, said in known.items():
        assert (said["style"], said["name"]) == (whole[name]["style"], whole[name]["name"])
