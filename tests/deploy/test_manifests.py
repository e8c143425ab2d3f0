"""Compose file and Kubernetes manifests, checked with the tools and schemas that read them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from agent import __version__
from agent.config import load
from agent.metrics import BY_NAME
from tests.dashboards.queries import (
    alerts,
    annotation_queries,
    dashboards,
    fill,
    panel_queries,
    parts,
    recordings,
)
from tests.engines.harness.need import need
from tests.engines.harness.programs import run

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
OLDEST, NEWEST = "1.25", kubernetes_validate.latest_version()


def manifest(name: str) -> Any:
    return yaml.safe_load((KUBERNETES / name).read_text())


def resources() -> list[str]:
    listed: list[str] = manifest("kustomization.yaml")["resources"]
    return listed


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", [name for name in resources() if name != "podmonitor.yaml"])
def test_the_api_takes_it(name: str, version: str) -> None:
    kubernetes_validate.validate(manifest(name), version, strict=True)


def test_the_schemas_do_refuse() -> None:
    wrong = manifest("daemonset.yaml")
    wrong["spec"]["template"]["spec"]["hostPid"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


def test_kustomize_is_given_all_of_it() -> None:
    files = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(resources()) == files
    assert manifest("kustomization.yaml")["images"] == [{"name": "tallyman", "newTag": __version__}]
    for name in files - {"namespace.yaml"}:
        assert manifest(name)["metadata"]["namespace"] == "tallyman"


def test_the_configuration_in_it_is_one(tmp_path: Path) -> None:
    file = tmp_path / "tallyman.toml"
    file.write_text(manifest("configmap.yaml")["data"]["tallyman.toml"])
    config = load(str(file))

    (port,) = _container()["ports"]
    assert config.web.listen_address == f":{port['containerPort']}"
    (host,) = (mount for mount in _container()["volumeMounts"] if mount["name"] == "host")
    assert config.path.rootfs == host["mountPath"]
    assert {config.path.procfs, config.path.sysfs} == {"/host/proc", "/host/sys"}


def test_the_podmonitor_finds_the_pods() -> None:
    """A custom resource of the operator, without a schema, so its keys are checked here."""
    monitor = manifest("podmonitor.yaml")
    assert (monitor["apiVersion"], monitor["kind"]) == ("monitoring.coreos.com/v1", "PodMonitor")
    spec = monitor["spec"]
    assert set(spec) <= {"jobLabel", "selector", "podMetricsEndpoints"}
    pod = manifest("daemonset.yaml")["spec"]["template"]
    assert spec["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (endpoint,) = spec["podMetricsEndpoints"]
    assert set(endpoint) <= {
        "port",
        "interval",
        "scrapeTimeout",
        "relabelings",
        "metricRelabelings",
    }
    assert endpoint["port"] in [port["name"] for port in _container()["ports"]]
    for rule in endpoint["relabelings"] + endpoint["metricRelabelings"]:
        assert set(rule) <= {"sourceLabels", "targetLabel", "regex", "action"}
        re.compile(rule.get("regex", ""))
    # The alerts match the beginning of the job's name.
    assert pod["metadata"]["labels"][spec["jobLabel"]].startswith("tallyman")


def _container() -> Any:
    (container,) = manifest("daemonset.yaml")["spec"]["template"]["spec"]["containers"]
    return container


def test_agent_mode_drops_nothing_that_is_read() -> None:
    need("promtool")
    file = DEPLOY / "prometheus/agent-mode.yml"
    run("promtool", "check", "config", "--agent", file)
    (job,) = yaml.safe_load(file.read_text())["scrape_configs"]
    (rule,) = job["metric_relabel_configs"]
    boards = [
        fill(q.expr)
        for b in dashboards().values()
        for q in (*panel_queries(b), *annotation_queries(b))
    ]
    rules = [*recordings().values(), *(alert["expr"] for alert in alerts().values())]
    read = {name for expr in boards + rules for name, _ in parts(expr).selectors}

    dropped = {name for name in BY_NAME if re.fullmatch(rule["regex"], name)}
    assert len(dropped) > 10
    assert dropped & read == set()


class TestCompose:
    file = DEPLOY / "compose/compose.yml"

    def test_compose_takes_it(self, tmp_path: Path) -> None:
        need("docker-compose")
        document = yaml.safe_load(self.file.read_text())
        # Debian's docker-compose is from 2021, and does not know these two.
        del document["name"], document["services"]["agent"]["cgroup"]
        old = tmp_path / "compose.json"
        old.write_text(json.dumps(document))
        place = ("--project-directory", self.file.parent)
        shown = yaml.safe_load(
            run("docker-compose", "-f", old, *place, "config", env={"GRAFANA_PASSWORD": "x"})
        )
        assert set(shown["services"]) == {"agent", "prometheus", "alertmanager", "grafana"}
        for service in shown["services"].values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0] if isinstance(volume, str) else volume["source"]
                assert not source.startswith("/") or Path(source).exists(), source

    def test_runs_the_agent_as_the_script_does(self) -> None:
        agent = yaml.safe_load(self.file.read_text())["services"]["agent"]
        script = (DEPLOY / "container/run").read_text()
        assert agent["image"] == f"tallyman:{__version__}"
        for capability in agent["cap_add"]:
            assert f"--cap-add={capability}" in script
        assert script.count("--cap-add") == len(agent["cap_add"])
        for flag in agent["command"]:
            assert flag in script

    def test_no_engines_socket_is_used_unless_asked_for(self, tmp_path: Path) -> None:
        agent = yaml.safe_load(self.file.read_text())["services"]["agent"]
        assert "--no-process.engine-sockets" in agent["command"]
        image = (DEPLOY / "container/Dockerfile").read_text()
        assert '"--no-process.engine-sockets"' in image
        docker = tmp_path / "docker"
        docker.write_text('#!/bin/sh\necho "$@"\n')
        docker.chmod(0o755)
        env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        usual, asked = (
            run(DEPLOY / "container/run", *words, "--log.level=debug", env=env).split()
            for words in ((), ("--with-docker-socket",))
        )
        assert usual[-5:] == ["--no-process.engine-sockets", *usual[-4:-1], "--log.level=debug"]
        assert asked[-5:] == ["--process.engine-sockets", *usual[-4:]]

    def test_prometheus_takes_its_configuration(self, tmp_path: Path) -> None:
        need("promtool")
        for file in (DEPLOY / "prometheus").glob("*.yml"):
            (tmp_path / file.name).write_text(file.read_text())
        (tmp_path / "prometheus.yml").write_text((self.file.parent / "prometheus.yml").read_text())
        run("promtool", "check", "config", tmp_path / "prometheus.yml")


def test_ansible_takes_the_playbook(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("ansible-playbook")
    words = ("--inventory=localhost,", "--syntax-check", "--extra-vars=deb=tallyman.deb")
    run(program, *words, DEPLOY / "ansible/tallyman.yml", env={"HOME": str(tmp_path)})
