"""The container image, built and run by the scripts in deploy/container, in a real Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import yaml

from agent import __version__
from tests.engines.harness import bare, roots
from tests.engines.harness.agent import Page, Row, assert_found_once, free_port, row_of
from tests.engines.harness.dockerd import Docker, docker_daemon
from tests.engines.harness.made import Made, unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import descendants, run, wait_until, workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

CONTAINER = Path(__file__).parents[2] / "deploy/container"
REGISTRY = ("etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")
"""How this machine reaches PyPI, where that is configured."""


class Deployed:
    """The agent in its container, and the containers that it should see."""

    def __init__(self, docker: Docker) -> None:
        self.docker = docker
        self.name = unique("agent")
        self.address = f"127.0.0.1:{free_port()}"
        self.flags = (f"--collector.docker.host={docker.endpoint}",)
        run(
            CONTAINER / "run",
            *(f"--web.listen-address={self.address}", *self.flags),
            env={"DOCKER_HOST": docker.endpoint, "NAME": self.name},
        )
        wait_until(self.ready, "the agent in its container", 240)

    def ready(self) -> bool:
        try:
            self.get("/-/ready")
        except OSError:
            return False
        return True

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=20) as answer:
            text: str = answer.read().decode()
            return text

    def ls(self) -> list[Row]:
        """Return what the agent lists when run inside its container."""
        host = ("--path.procfs=/host/proc", "--path.sysfs=/host/sys", "--path.rootfs=/host")
        command = (
            "/opt/tallyman/bin/tallyman",
            "ls",
            "--all",
            "--json",
            "--timeout=4m",
            *host,
            *self.flags,
        )
        printed = self.docker.cli("exec", self.name, *command, timeout=300)
        return [row_of(found) for found in json.loads(printed)]


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    need("dockerd", "docker", "busybox", "ip", "mmdebstrap")
    with docker_daemon(shared_mounts=True) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def image(docker: Docker) -> str:
    """Build the image on a Debian root made by these tests."""
    with workplace("base") as place:
        root = place / "root"
        packages = ["ca-certificates", "python3", "python3-venv"]
        run("cp", "-a", roots.debian_with(packages), root)
        for file in REGISTRY:
            if Path("/", file).exists():
                shutil.copy(Path("/", file), root / file)
        base = docker.image("tallyman/base:1", root)
    pip = [f"--build-arg={name}" for name in os.environ if name.startswith("PIP_")]
    run(
        CONTAINER / "build",
        *(f"--build-arg=BASE={base}", "--network=host", *pip),
        env={"DOCKER_HOST": docker.endpoint, "DOCKER_BUILDKIT": "0"},
        timeout=600,
    )
    return f"tallyman:{__version__}"


@pytest.fixture(scope="module")
def deployed(docker: Docker, image: str) -> Deployed:
    assert image
    return Deployed(docker)


@pytest.fixture(scope="module")
def app(docker: Docker) -> Made:
    return docker.run(docker.busybox(), "sleep", "86400", name=unique("app"))


@pytest.fixture(scope="module")
def unmanaged() -> Iterator[Made]:
    need("unshare")
    with workplace("root") as place:
        words = ("unshare", "--mount", "--pid", "--fork", f"--root={roots.make_busybox(place)}")
        with bare.program_in("unshare", words, bare.sleep()) as made:
            yield made


@pytest.fixture(scope="module")
def rows(app: Made, unmanaged: Made, deployed: Deployed) -> list[Row]:
    """Take one inventory, which is slow on a busy machine with many containers."""
    assert app.pid
    assert unmanaged.pid
    return deployed.ls()


def test_sees_the_hosts_containers(app: Made, rows: list[Row]) -> None:
    assert_found_once(rows, app, style="app")


def test_sees_what_no_docker_knows(unmanaged: Made, rows: list[Row]) -> None:
    assert_found_once(rows, unmanaged, style="app")


def test_sees_itself_as_what_it_is(deployed: Deployed, rows: list[Row]) -> None:
    assert_found_once(rows, deployed.docker.made(deployed.name), style="app")


def test_is_scraped(app: Made, deployed: Deployed) -> None:
    page = Page(deployed.get("/metrics"))
    row = page.row(app.name)

    assert row is not None
    assert page.value("container_memory_usage_bytes", id=row.id)
    assert page.value("tallyman_collector_success", collector="docker") == 1
    assert page.value("tallyman_build_info", version=__version__) == 1


def test_what_faces_the_network_is_not_root(deployed: Deployed) -> None:
    pid = deployed.docker.made(deployed.name).pid
    assert pid is not None
    owners = {os.stat(f"/proc/{each}").st_uid for each in [pid, *descendants(pid)]}
    status = Path(f"/proc/{pid}/status").read_text()

    assert owners == {os.stat(f"/proc/{pid}").st_uid, 0}
    assert "Uid:\t0" not in status
    assert "CapPrm:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_compose_starts_it_with_a_prometheus_that_scrapes_it(
    docker: Docker, image: str, tmp_path: Path
) -> None:
    """The compose file, except for the ports, which are in use here, and two keys (see below)."""
    need("docker-compose", "prometheus")
    assert image
    compose = CONTAINER.parent / "compose"
    document = yaml.safe_load((compose / "compose.yml").read_text())
    services = document["services"]
    # Debian's docker-compose is from 2021, and does not know these two.
    del document["name"], services["agent"]["cgroup"]
    agent, prometheus = (f"127.0.0.1:{free_port()}" for _ in range(2))
    services["agent"]["command"].append(f"--web.listen-address={agent}")
    services["prometheus"]["image"] = prometheus_image(docker)
    listen = f"--web.listen-address={prometheus}"
    words = services["prometheus"]["command"]
    services["prometheus"]["command"] = [w for w in words if "listen-address" not in w] + [listen]
    config = (compose / "prometheus.yml").read_text().replace("127.0.0.1:10060", agent)
    (tmp_path / "prometheus.yml").write_text(config.replace("scrape_interval: 30s", ""))
    services["prometheus"]["volumes"][0] = (
        f"{tmp_path}/prometheus.yml:/etc/prometheus/prometheus.yml:ro"
    )
    (tmp_path / "compose.json").write_text(json.dumps(document))
    project = ("-p", unique("compose"), "--project-directory", compose)
    compose_words = ("docker-compose", "-f", tmp_path / "compose.json", *project)
    env = {"DOCKER_HOST": docker.endpoint, "GRAFANA_PASSWORD": "x"}
    query = 'up{job="tallyman"}==1 and on() (sum(tallyman_host_containers)>0)'

    def scraped() -> bool:
        address = f"http://{prometheus}/api/v1/query?query={quote(query)}"
        try:
            with urllib.request.urlopen(address, timeout=20) as answer:
                return bool(json.load(answer)["data"]["result"])
        except OSError:
            return False

    try:
        run(*compose_words, "up", "-d", "agent", "prometheus", env=env, timeout=240)
        wait_until(scraped, "Prometheus to have scraped the agent", 240)
    finally:
        run(*compose_words, "down", "--volumes", env=env, timeout=240)


def prometheus_image(docker: Docker) -> str:
    """Make an image like Prometheus's own from the Debian package that is installed here."""
    program = shutil.which("prometheus")
    assert program is not None
    with workplace("prometheus") as place:
        root = roots.make_busybox(place / "root")
        libraries = re.findall(r"(/\S+) \(0x", run("ldd", program))
        for file in (program, *libraries):
            to = root / file.lstrip("/")
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to)
        (root / "etc/prometheus").mkdir()
        (root / "prometheus").mkdir()
        plain = docker.image("tallyman/prometheus:plain", root)
    build = f'FROM {plain}\nENTRYPOINT ["{program}"]\n'
    name = "tallyman/prometheus:1"
    words = ("docker", "build", "--tag", name, "-")
    run(*words, stdin=build, env={"DOCKER_HOST": docker.endpoint, "DOCKER_BUILDKIT": "0"})
    return name


def test_is_small(docker: Docker, image: str) -> None:
    """The megabytes that it adds to its base."""
    added = int(docker.cli("image", "inspect", "--format={{.Size}}", image)) - int(
        docker.cli("image", "inspect", "--format={{.Size}}", "tallyman/base:1")
    )
    assert added < 40 << 20
