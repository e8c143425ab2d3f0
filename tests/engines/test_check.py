"""Exactly what ``tallyman check`` reports as lost without a capability is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.harness.agent import TALLYMAN, running_agent
from tests.engines.harness.bare import sleeping_in
from tests.engines.harness.need import need
from tests.engines.harness.programs import run, wait_until, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.harness.agent import Agent, Page
    from tests.engines.harness.dockerd import Docker
    from tests.engines.harness.made import Made

pytestmark = pytest.mark.engine

ROOT = "root"
"""A Docker container that runs as root, with Docker's capabilities."""
USER = "user"
"""One that runs as another user."""
PRIVATE = "private"
"""One without an engine, whose root filesystem only another user may read."""
FIREWALL = "firewall"
"""One with its own firewall rule."""


def without(*capabilities: str) -> tuple[str, ...]:
    """Return the prefix that runs a command as root without these capabilities."""
    names = ",".join(f"-{name}" for name in capabilities)
    return ("setpriv", f"--bounding-set={names}", f"--inh-caps={names}") if names else ()


def ask(drop: tuple[str, ...], *words: str) -> Any:
    """Run tallyman as root without some capabilities, and return its JSON output.

    None where it knows no such container.
    """
    done = subprocess.run(
        [*drop, str(TALLYMAN), *words, "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode == 1 and "no such container" in done.stderr:
        return None
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


class Scene:
    """Four containers, and the facts of them."""

    def __init__(self, made: dict[str, Made], docker: Docker) -> None:
        self.made = made
        self.flag = f"--collector.docker.host={docker.endpoint}"

    def known(self, drop: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """Return what ``explain`` shows of each, without the current use of its disk."""
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
        """Return the names of the capabilities that ``check`` reports as missing."""
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
                FIREWALL: dockerd.run(dockerd.busybox(), *httpd, options=("--cap-add=NET_ADMIN",)),
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
        # It is evidence for a system, so its absence shows where it cannot be read.
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
    # No verdict changes, and only without ptrace(2) is a container without an engine missed.
    assert all(said["style"] == whole[name]["style"] for name, said in known.items())
    assert whole.keys() - known.keys() == ({PRIVATE} if "sys_ptrace" in capabilities else set())


def test_dockers_socket_is_not_needed_for_a_name_or_a_verdict(
    scene: Scene, whole: dict[str, dict[str, Any]], dockerd: Docker
) -> None:
    drop = without("dac_override")
    with unreadable(dockerd.endpoint.removeprefix("unix://")):
        checks = {one["name"]: one for one in ask(drop, "check", scene.flag)}
        known = scene.known(drop)
    assert not checks["collector docker"]["ok"]
    assert "permission denied" in checks["collector docker"]["found"]
    for name, said in known.items():
        assert (said["style"], said["name"]) == (whole[name]["style"], whole[name]["name"])


ONLY_FROM_DOCKERS_SOCKET = {"tallyman_container_image_size_bytes"}


def test_what_is_known_without_dockers_socket(dockerd: Docker) -> None:
    """Labels, image, health and state are on disk; what the daemon computes is not."""
    check = ("--health-cmd=true", "--health-interval=1s", "--label=team=blue")
    made = dockerd.run(dockerd.busybox(), "sleep", "86400", options=check)
    flags = (f"--collector.docker.host={dockerd.endpoint}", "--metrics.container-label=team")
    try:
        wait_until(lambda: _health(dockerd, made) == "healthy", "its health", 60)
        with running_agent(*flags) as agent:
            page = _once_known(agent, made)
        whole = about(page, made)
        with (
            unreadable(dockerd.endpoint.removeprefix("unix://")),
            running_agent(*flags, command=(*without("dac_override"), TALLYMAN)) as agent,
        ):
            page = _once_known(agent, made)
            assert page.value("tallyman_collector_success", collector="docker") == 0
        less = about(page, made)
    finally:
        dockerd.remove_all()
    assert whole.keys() - less.keys() == ONLY_FROM_DOCKERS_SOCKET
    for name in less:
        assert less[name] == whole[name], name
    assert 'container_label_team="blue"' in page.text


OF_A_MOMENT = {"tallyman_container_zombies"}
"""It is there while there is a zombie, as a health check that has just ended is for a moment."""


def about(page: Page, made: Made) -> dict[str, list[dict[str, str]]]:
    """Return the labels of a container's ``tallyman_*`` metrics, by metric."""
    row = page.row(made.name)
    assert row is not None
    found: dict[str, list[dict[str, str]]] = {}
    for name, samples in page.samples.items():
        mine = [s.labels for s in samples if s.labels.get("id") == row.id]
        if mine and name.startswith("tallyman_container_") and name not in OF_A_MOMENT:
            found[name] = mine
    return found


def _once_known(agent: Agent, made: Made) -> Page:
    agent.wait_row(made, style="app", seconds=60)
    return agent.wait_for(lambda p: "healthy" in str(about(p, made)), "its health", 60)


def _health(docker: Docker, made: Made) -> str:
    return docker.cli("inspect", "--format={{.State.Health.Status}}", made.name).strip()


@contextmanager
def unreadable(path: str) -> Iterator[None]:
    """Make a file accessible only to another user while the block runs."""
    before = os.stat(path)
    os.chown(path, 4711, 4711)
    os.chmod(path, 0o600)
    try:
        yield
    finally:
        os.chown(path, before.st_uid, before.st_gid)
        os.chmod(path, before.st_mode & 0o777)
