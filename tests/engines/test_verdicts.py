"""Cases whose verdict is settled, as real containers: the agent's page and ``ls`` agree.

Also the practices that findings warn about, and the operator's style rules.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.corpus import zoo
from tests.corpus.scenarios import SCENARIOS, Scenario
from tests.engines.harness.agent import TALLYMAN, ls, running_agent, tallyman
from tests.engines.harness.dockerd import FREE
from tests.engines.harness.made import unique
from tests.engines.harness.programs import run, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines.harness.agent import Agent, Page
    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine

_LIVE = (
    *("nginx", "redis", "sshd-alone", "cron-alone", "syslog-alone", "sleep", "tail", "shell"),
    *("init-nginx", "script-nginx", "supervisord-one", "exec-shell", "exec-daemons"),
    *("forged-argv", "tiny-httpd", "systemd-nginx", "systemd-full", "systemd-idle"),
    *("systemd-ssh-nginx", "script-server", "script-ssh-nginx", "dummy-sleep-server"),
    *("nginx-adopts", "runit-server", "supervisord-server", "tiny-server"),
    *("busybox-init-server", "pid-host-server"),
)
"""Those that need only the Debian and busybox of these tests."""

_SECONDS = 240


@pytest.fixture(scope="module")
def containers(dockerd: Docker) -> Iterator[dict[str, Scenario]]:
    """Return the scenarios that run, by the name of their container."""
    started = {}
    for scenario in (*SCENARIOS, *zoo.SCENARIOS):
        if scenario.name not in _LIVE:
            continue
        image = dockerd.busybox() if scenario.image.startswith("busybox") else dockerd.debian()
        name = unique(scenario.name)
        dockerd.run(image, *scenario.command, name=name, options=scenario.options)
        for command in scenario.then:
            words = command.replace("$NAME", name).replace("'", "").split()
            dockerd.cli(*words[1:])
        started[name] = scenario
    yield started
    dockerd.remove_all()


def test_every_live_container_is_judged_right(
    containers: dict[str, Scenario], agent: Agent, dockerd: Docker
) -> None:
    def wrong(styles: dict[str, str]) -> list[str]:
        return [
            f"{name} ({scenario.about}) is {scenario.style}, not {styles.get(name)}"
            for name, scenario in containers.items()
            if styles.get(name) != scenario.style
        ]

    def right(page: Page) -> bool:
        return not wrong({row.name: row.style for row in page.rows()})

    page = agent.wait_for(right, "every style to be right", _SECONDS)
    assert len(containers) == len(_LIVE)
    once = {row.name: row.style for row in ls(_at(dockerd))}
    assert not wrong(once)
    for name, scenario in containers.items():
        row = page.row(name)
        assert row is not None
        for finding in scenario.findings:
            value = page.value("tallyman_container_finding", id=row.id, finding=finding)
            assert value == 1, f"{name} ({scenario.about}) lacks the finding {finding}"


_SLEEP = ("/bin/sleep", "86400")
_WARNED_OF = frozenset(
    {
        *("stale_image", "drifted", "privileged", "shared_host_namespaces"),
        *("engine_socket_inside", "no_limits"),
    }
)
_LIMITS = ("--memory=64m", "--cpus=0.5", "--pids-limit=50")


def _at(docker: Docker) -> str:
    return f"--collector.docker.host={docker.endpoint}"


def _old_image(docker: Docker, place: Path) -> str:
    """Load an image whose build date is long ago."""
    docker.cli("save", "--output", place / "new.tar", docker.busybox())
    with tarfile.open(place / "new.tar") as archive:
        archive.extractall(place / "image", filter="data")
    manifest = json.loads((place / "image/manifest.json").read_text())
    config = place / "image" / manifest[0]["Config"]
    built = json.loads(config.read_text()) | {"created": "2020-01-01T00:00:00Z"}
    config.write_text(json.dumps(built))
    manifest[0]["RepoTags"] = ["tallyman/old:1"]
    (place / "image/manifest.json").write_text(json.dumps(manifest))
    with tarfile.open(place / "old.tar", "w") as archive:
        for part in {config.name, "manifest.json", *manifest[0]["Layers"]}:
            archive.add(place / "image" / part, part)
    docker.cli("load", "--input", place / "old.tar")
    return "tallyman/old:1"


@pytest.fixture(scope="module")
def practices(
    dockerd: Docker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, set[str]]]:
    """Return the findings that each container should have, by name; none for the first."""
    tiny = dockerd.busybox()
    old = _old_image(dockerd, tmp_path_factory.mktemp("old"))
    found: dict[str, set[str]] = {}

    def start(findings: set[str], *options: str, image: str = tiny, **more: Any) -> None:
        made = dockerd.run(image, *more.get("command", _SLEEP), options=(*_LIMITS, *options))
        found[made.name] = findings

    start(set())
    start({"stale_image"}, image=old)
    start({"privileged"}, *FREE)
    start({"shared_host_namespaces"}, "--network=host", "--pid=host")
    start({"engine_socket_inside"}, f"--volume={dockerd.socket}:/run/docker.sock")
    start(
        {"drifted"},
        image=dockerd.debian(),
        # As a package manager leaves it that runs in five minutes.
        command=("sh", "-c", "touch -d '+5 minutes' /var/lib/dpkg/status; exec sleep 86400"),
    )
    start({"no_limits"}, "--memory=0", "--cpus=0", "--pids-limit=-1")
    yield found
    for name in found:
        dockerd.cli("rm", "--force", name)


def test_practices_are_found_where_they_are_and_nowhere_else(
    practices: dict[str, set[str]], agent: Agent, dockerd: Docker
) -> None:
    def found(page: Page) -> dict[str, set[str]]:
        names = {row.id: row.name for row in page.rows() if row.name in practices}
        return {
            name: {
                sample.labels["finding"]
                for sample in page.samples.get("tallyman_container_finding", [])
                if sample.labels["id"] == key and sample.labels["finding"] in _WARNED_OF
            }
            for key, name in names.items()
        }

    page = agent.wait_for(lambda page: found(page) == practices, "the findings", _SECONDS)
    settled = {row.name: row.style for row in page.rows() if row.name in practices}
    assert settled == {r.name: r.style for r in ls(_at(dockerd)) if r.name in practices}


def test_the_exit_code_says_whether_anything_was_found(
    practices: dict[str, set[str]], dockerd: Docker
) -> None:
    def look(*words: str) -> tuple[int, set[str]]:
        done = subprocess.run(
            # Only a container's own daemon knows its image.
            [TALLYMAN, "ls", "--json", "--engine=docker", _at(dockerd), *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        return done.returncode, {row["name"] for row in json.loads(done.stdout)}

    old = {name for name, findings in practices.items() if "stale_image" in findings}
    assert look("--findings=stale_image") == (1, old)
    assert look("--findings=bloated_image") == (0, set())
    code, every = look()
    assert code == 0
    assert every >= practices.keys()


def test_the_operators_word_is_the_verdict_everywhere(
    practices: dict[str, set[str]], dockerd: Docker, tmp_path: Path
) -> None:
    ours, other = list(practices)[:2]
    config = tmp_path / "tallyman.toml"
    config.write_text(
        f'[[style_rule]]\nengine = "docker"\nname = "{ours[:-1]}?"\nimage = "*busybox*"\n'
        f'style = "system"\n\n[[style_rule]]\nname = "{other}"\nstyle = "app"\n'
    )
    flags = (f"--config.file={config}", _at(dockerd))
    with running_agent(*flags, "--collector.verdict_detail") as agent:
        agent.wait_ready()
        page = agent.wait_for(lambda page: page.row(ours), "the container", _SECONDS)
    row = page.row(ours)
    assert row is not None
    assert row.style == "system"
    assert page.value("tallyman_container_style_confidence", id=row.id) == 1
    assert page.value("tallyman_container_style_score", id=row.id) == 1
    said = page.samples["tallyman_container_evidence"]
    assert any(s.labels["id"] == row.id and s.labels["rule"] == "override" for s in said)
    styles = {row.name: row.style for row in ls(*flags)}
    assert (styles[ours], styles[other]) == ("system", "app")
    assert "your configuration says so (engine=docker" in tallyman("explain", ours, *flags)


_STACK = """
version: "2.4"
services:
  web: {image: DEBIAN, network_mode: bridge, mem_limit: 64m, pids_limit: 50,
    command: ["nginx", "-g", "daemon off;"]}
  jobs: {image: DEBIAN, network_mode: bridge, mem_limit: 64m, pids_limit: 50, init: true,
    command: ["sh", "-c", "cron; exec python3 -c 'import time; time.sleep(86400)'"]}
  cache: {image: DEBIAN, network_mode: bridge, mem_limit: 64m, pids_limit: 50, user: "65534",
    command: ["redis-server", "--dir", "/tmp"]}
"""
"""A stack as its makers recommend it: each part an image, with limits, cron beside the jobs."""


@pytest.fixture
def stack(dockerd: Docker, tmp_path: Path) -> Iterator[set[str]]:
    """Return the names of the containers of a stack that docker-compose has started."""
    project = unique("stack")
    file = tmp_path / "compose.yml"
    file.write_text(_STACK.replace("DEBIAN", dockerd.debian()))
    compose = ("docker-compose", "--host", dockerd.endpoint, "-f", file, "-p", project)
    run(*compose, "up", "--detach", timeout=_SECONDS)
    yield set(dockerd.cli("ps", "--filter", f"name={project}", "--format", "{{.Names}}").split())
    run(*compose, "down", "--timeout=0", timeout=_SECONDS)


def test_a_healthy_stack_is_warned_of_nothing(
    stack: set[str], agent: Agent, dockerd: Docker
) -> None:
    def styles(page: Page) -> set[tuple[str, str]]:
        return {(row.name, row.style) for row in page.rows() if row.name in stack}

    expected = {(name, "app") for name in stack}
    page = agent.wait_for(lambda page: styles(page) == expected, "the stack", _SECONDS)
    ids = {row.id for row in page.rows() if row.name in stack}
    warned = {
        (sample.labels["finding"], sample.labels["severity"])
        for sample in page.samples.get("tallyman_container_finding", [])
        if sample.labels["id"] in ids
    }
    assert len(ids) == 3
    assert not {finding for finding in warned if finding[1] == "warning"}
    explained = "".join(tallyman("explain", name, _at(dockerd)) for name in stack)
    assert "cron belongs to" in explained
    assert "cron's tables run" in explained


def test_a_product_with_an_sshd_is_accused_of_nothing_until_somebody_has_a_password(
    dockerd: Docker,
) -> None:
    """The only account is the product's, as that of a forge is, and no rule of the sshd tells."""
    name = unique("forge")
    script = (
        "useradd -m -s /bin/bash git; mkdir -p /run/sshd /opt/oak; "
        "cp /usr/bin/python3 /opt/oak/oakd; cron; /usr/sbin/sshd; "
        "exec setpriv --reuid=git --regid=git --clear-groups /opt/oak/oakd -m http.server 3000"
    )
    dockerd.run(dockerd.debian(), "sh", "-c", script, name=name)

    def explained() -> str:
        return " ".join(tallyman("explain", name, _at(dockerd)).split())

    def is_open() -> bool:
        text = explained()
        question = "Whether its sshd gives people a shell, or only what oakd keeps."
        return f"Not known {question}" in text and "both readings are fair" in text

    try:
        wait_until(is_open, "the open question", _SECONDS)
        assert "docker_as_vm" not in explained()
        people = "useradd -m -s /bin/bash ann; echo ann:secret | chpasswd"
        dockerd.cli("exec", name, "sh", "-c", people)
        wait_until(lambda: "docker_as_vm" in explained(), "a small server", _SECONDS)
    finally:
        dockerd.cli("rm", "--force", name)
