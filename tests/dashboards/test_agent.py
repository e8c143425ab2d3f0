"""Every query of every dashboard against a Prometheus that scrapes real agents.

One agent looks at real containers of Docker and LXC, two others at OpenVZ nodes whose vzlist is
replayed.
"""

from __future__ import annotations

import json
import math
import re
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.dashboards.queries import (
    PROMETHEUS,
    cadvisor_queries,
    dashboards,
    drop_in_jobs,
    drop_in_queries,
    panels,
)
from tests.dashboards.server import Api, singles
from tests.engines.harness.agent import Agent, running_agent
from tests.engines.harness.dockerd import docker_daemon
from tests.engines.harness.made import unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import disk_of
from tests.engines.harness.prometheus import Prometheus, prometheus
from tests.engines.harness.systems import lxc
from tests.support.openvz_node import FakeVzlist, containers_of, make_node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines.harness.dockerd import Docker

pytestmark = pytest.mark.engine
ALL = dashboards()
WORK = "while :; do busybox dd if=/dev/zero of=/x bs=64k count=1 conv=fsync; done"
DETAIL = "--collector.verdict_detail"
GROUP = "--metrics.container-label=org.label-schema.group"
LABELLED = {
    "service": {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.swarm.service.name": "shop_web",
        "com.docker.stack.namespace": "shop",
    },
    "monitors": {"org.label-schema.group": "monitoring"},
    "pod": {
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.name": "api-0",
        "io.kubernetes.container.name": "api",
    },
}
"""Containers with the labels of what made them, as Compose, Swarm, dockprom and a kubelet do."""
BEANCOUNTERS = "--collector.beancounters"
MEMORY_OF_V1 = "lxc.cgroup.memory.limit_in_bytes = 512M"


class Live(NamedTuple):
    """What is looked at."""

    server: Prometheus
    api: Api
    """At a moment at which everything was there."""
    chosen: dict[str, dict[str, str]]
    """By choice, the values of the variables."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    need("prometheus", "dockerd", "docker", "busybox", "ip", "lxc-start")
    with ExitStack() as stack:
        docker = stack.enter_context(docker_daemon())
        system = stack.enter_context(lxc(more=MEMORY_OF_V1))
        place = tmp_path_factory.mktemp("nodes")
        nodes = {n: stack.enter_context(running_agent(*_node(place, n))) for n in (4, 7)}
        agent = stack.enter_context(
            running_agent(f"--collector.docker.host={docker.endpoint}", DETAIL, GROUP)
        )
        agent.wait_ready(120)
        targets = [_target(looks) for looks in (agent, *nodes.values())]
        names = ("rules.yml", "alerts.yml", "cadvisor-compat.yml")
        rules = (*(PROMETHEUS / name for name in names), _pods(place))
        server = stack.enter_context(prometheus("", *rules, more=_jobs(targets)))
        # Containers come and go while they are looked at: what grows is seen to grow.
        app = _containers(docker, server)
        agent.wait_row(system, style="system", seconds=60)
        for node in nodes.values():
            node.wait_ready(60)
        _wait(server)
        here = {"instance": _target(agent)}
        chosen = {
            "docker": here | {"engine": "docker", "style": "app", "container": app},
            "lxc": here | {"engine": "lxc", "style": "system", "container": system.name},
        }
        for number, node in nodes.items():
            there = {"instance": _target(node), "engine": "openvz"}
            chosen[f"openvz-{number}"] = there | {"style": "system", "container": "web01"}
            chosen[f"openvz-{number}-app"] = there | {"style": "app", "container": "redis"}
        chosen["all"] = chosen["docker"]
        # A whole second, so that the last step of a range is that moment.
        yield Live(server, Api(server.url, math.ceil(time.time())), chosen)


def _target(agent: Agent) -> str:
    return f"127.0.0.1:{agent.port}"


def _jobs(targets: list[str]) -> dict[str, Any]:
    """Scrape all of them, and the first once more by the block for kube-prometheus-stack."""
    job = {
        "job_name": "tallyman",
        "scrape_interval": "2s",
        "static_configs": [{"targets": targets}],
    }
    there = {"targets": targets[:1], "labels": {"node": "node-1"}}
    pods = drop_in_jobs()["tallyman-as-kubelet"]
    pods = {key: pods[key] for key in ("job_name", "metric_relabel_configs")}
    return {"scrape_configs": [job, {**pods, "static_configs": [there]}]}


def _pods(place: Path) -> Path:
    """Write a rule that says of the pod what kube-state-metrics would."""
    labels = {"namespace": "shop", "pod": "api-0", "node": "node-1"}
    rule = {"record": "kube_pod_info", "expr": "vector(1)", "labels": labels}
    path = place / "pods.yml"
    path.write_text(json.dumps({"groups": [{"name": "pods", "rules": [rule]}]}))
    return path


def _node(place: Path, number: int) -> tuple[str, ...]:
    """Lay out an OpenVZ node, and give the flags of an agent that looks at it."""
    top = make_node(place / str(number), number)
    version = {4: "4.11.1", 7: "7.0.254"}[number]
    fake = FakeVzlist(place / str(number), number, containers_of(version))
    return (
        f"--path.procfs={top}/proc",
        f"--path.sysfs={top}/sys",
        f"--path.rootfs={top}",
        f"--collector.openvz.vzlist-command={fake.path}",
        DETAIL,
        BEANCOUNTERS,
    )


def _containers(docker: Docker, server: Prometheus) -> str:
    """Start containers that work, fail, are killed and are restarted, and name the first."""
    group = unique("board")
    busybox, app = docker.busybox(), f"{group}-app"
    limits = ["--memory=64m", "--cpus=0.1"]
    if device := disk_of(docker.place):
        # From Linux 6.10 on, v1 counts only once a limit is set on the device.
        limits.append(f"--device-write-bps={device}:1gb")
    check = ("--health-cmd=false", "--health-interval=1s", "--health-retries=1")
    docker.run(busybox, "sh", "-c", WORK, name=app, options=(*limits, *check))
    for name, labels in LABELLED.items():
        marked = tuple(f"--label={key}={value}" for key, value in labels.items())
        options = ("--cpus=0.1", *marked)
        docker.run(busybox, "sh", "-c", WORK, name=f"{group}-{name}", options=options)
    dying = f"{group}-dying"
    docker.run(busybox, "sleep", "86400", name=dying)
    docker.run(busybox, "sleep", "86400", name=f"{group}-unlimited")
    again = f"{group}-again"
    restart = ("--restart=always",)
    docker.run(busybox, "sh", "-c", "sleep 2; exit 3", name=again, options=restart)
    eater = f"{group}-eater"
    docker.run(
        busybox,
        *("sh", "-c", "while :; do sh -c 'tail /dev/zero'; sleep 1; done"),
        name=eater,
        options=("--memory=16m",),
    )
    server.wait_for(f'container_last_seen{{name="{dying}"}}')
    docker.cli("kill", dying)
    server.wait_for(f'increase(container_oom_events_total{{name="{eater}"}}[5m]) > 1')
    restarts = f'tallyman_container_info{{name="{again}"}}'
    grown = "increase(tallyman_container_restarts_total[5m])"
    server.wait_for(f"{grown} * on (id) group_left () {restarts} > 0", seconds=60)
    return app


def _wait(server: Prometheus) -> None:
    """Wait for what comes late."""
    for late in (
        "instance_id:container_cpu_usage_seconds:rate5m",
        "instance_style:tallyman_host_containers:running",
        "instance_engine_style:container_network_bytes:rate5m",
        "instance_engine_style:container_oom_events:increase5m > 0",
        "instance_engine_style:tallyman_container_restarts:increase5m > 0",
        "instance_id:tallyman_container_exit_code:stopped != 0",
        "tallyman_host_cores",
        'tallyman_host_unlimited_containers{engine="docker",style="app",resource="memory"} > 0',
        "tallyman_container_finding",
        "tallyman_container_health",
        'ALERTS{alertstate="firing"}',
        'tallyman_openvz_status{status="running"} == 1',
        # Ranges of some minutes take some minutes to fill; the shape is what counts here.
        "count_over_time(container_last_seen[5m]) > 5",
    ):
        server.wait_for(late, seconds=60)


_LATE_SECONDS = 60

SAID = {"yes", "yes,", "yes:", "no:", "with"}
"""What the page on cAdvisor's queries may say."""
CASES = {
    "tallyman-fleet": ("all", "docker", "lxc", "openvz-4", "openvz-7"),
    "tallyman-host": ("all", "docker", "lxc", "openvz-4", "openvz-7"),
    "tallyman-app": ("all", "docker", "openvz-4-app"),
    "tallyman-system": ("all", "lxc", "openvz-4", "openvz-7"),
    "tallyman-one": ("docker", "lxc", "openvz-4", "openvz-4-app", "openvz-7"),
    "tallyman-agent": ("all", "docker", "openvz-7"),
}
"""What is chosen on each board: All, where there is All, and then one value of each variable."""

_SETTLED = {
    "Life: D": "it runs, and has not ended",
    "Ended with an error": "it runs, and has not ended",
    "Containers that do not run": "it runs, and has not ended",
    "Servers that do not run": "it runs, and has not ended",
    "Verdict differs from the engine": "it is what its engine is made for",
    "Engines and what they run": "of one engine and style, others are not shown",
    "Hosts and their density": "of one engine and style, others are not shown",
}
_NO_OPENVZ = {"tallyman_openvz_": "this engine is not OpenVZ"}
_TREE = {
    "container_network_": "the tree of a node has no network devices of containers",
    "container_memory_failures_total": "the tree has no such file",
    "container_pressure_": "OpenVZ's kernels have no PSI",
    "container_cpu_cfs_": "OpenVZ limits CPU in other ways",
    "container_health": "OpenVZ checks no health",
    "container_image_": "a template says neither size nor age",
    "tallyman_container_restarts": "OpenVZ restarts nothing by itself",
    "tallyman_container_starts": "the containers of the node run for a year",
    "container_started_seconds": "the containers of the node run for a year",
    "container_listening_sockets": "the tree has no sockets",
    "container_oom_events": "the tree has no such file",
    "container_threads": "the tree has no such file",
    "machine_swap_bytes": "the tree has no swap",
    'style="none"': "the tree has not what the host itself uses",
    "tallyman_process_": "the agent itself is not in the tree",
    "ALERTS": "no alert fires within seconds",
    "tallyman_event_lag_seconds": "nothing starts or ends on a node that is replayed",
}
EMPTY: dict[str, dict[str, str]] = {
    "everywhere": {
        "container_fs_": "not every machine counts what reaches its disks, nor limits it",
        "container_pressure_": "there is no PSI on cgroup v1",
        "writable_layer": "not every storage driver says what was written",
        "denied_total": "root may read everything",
        "malformed_total": "nothing is malformed",
        "container_sessions": "nobody logs in",
        "container_finding": "findings wait until the verdict has settled",
        "beancounter_failures": "what vzlist printed is always the same",
        "instance_id_resource:tallyman_openvz_beancounter_": "none of them holds half of a limit",
        "Network: ": "an interface without traffic is left out",
        "Network by server": "the LXC container has no network, and the trees have none",
        "Promised: C": "only OpenVZ promises disk",
        "Engines and what they run: C": "nothing is unknown for long",
        "Servers that do not run": "a stopped OpenVZ container says neither how it ended nor when",
        "Axis by axis: ": "each axis leans to one side alone",
        "Containers in trouble: ": "few things are wrong with a container at a time",
    },
    "docker": _SETTLED
    | _NO_OPENVZ
    | {
        "instance_id:tallyman_container_restarts": "another one is restarted",
        "instance_id:container_oom_events": "another one is killed",
    },
    "lxc": _SETTLED
    | _NO_OPENVZ
    | {
        "container_network_": "it has no network",
        "container_cpu_cfs_": "it has no CPU quota",
        "throttled_periods": "it has no CPU quota",
        "container_spec_cpu_quota": "it has no CPU quota",
        "tallyman_host_limit_cores": "it has no CPU quota",
        'resource="memory"': "it has a memory limit",
        "container_health": "LXC checks no health",
        "container_image_": "it was made from no image",
        "tallyman_container_restarts": "LXC restarts nothing by itself",
        "By engine and style: B": "none has been stopped",
    },
    "openvz-4": _SETTLED
    | _TREE
    | {
        "throttled_periods": "OpenVZ limits CPU in other ways",
        "machine_memory_bytes": "the tree has no meminfo",
        "tallyman_host_cores": "OpenVZ 6 says its CPU time too seldom for a rate of each scrape",
        'resource="memory"': "all of them have a limit",
        "container_memory_": "OpenVZ 6 knows what is in use and what is swapped, and no more",
        "container_processes": "the tree has no such file",
        "container_spec_cpu_": "OpenVZ limits CPU in other ways",
    },
    "openvz-7": _SETTLED
    | _TREE
    | {
        "throttled_periods": "OpenVZ limits CPU in other ways",
    },
}
"""What may be in a query without series (a panel, one of its queries, or a word of it), and why."""
EMPTY["openvz-4-app"] = EMPTY["openvz-4"]


@pytest.mark.parametrize(
    ("uid", "choice"), [(uid, choice) for uid, choices in CASES.items() for choice in choices]
)
def test_every_query(uid: str, choice: str, live: Live) -> None:
    board = ALL[uid]
    wanted = live.chosen["docker" if choice == "all" else choice]
    chosen = live.api.choices(board, **wanted)
    if choice == "all":
        chosen = singles(board, chosen)
    else:
        plain = {name: value.replace("\\", "") for name, value in chosen.items()}
        assert {n: v for n, v in plain.items() if n in wanted} == {
            n: v for n, v in wanted.items() if n in plain
        }
    asked = {
        f"{panel['title']}: {target['refId']}": target["expr"]
        for panel in panels(board)
        for target in panel["targets"]
    }
    right = EMPTY["everywhere"] | EMPTY.get(choice, {})
    wrong = {
        query
        for query in live.api.ask_all(board, chosen)
        if not any(word in asked[query] or query.startswith(word) for word in right)
    }
    end = time.monotonic() + _LATE_SECONDS
    while wrong and time.monotonic() < end:
        # A rate of one host may begin later than that of another: it is asked for at a later now.
        time.sleep(1)
        wrong &= {*Api(live.server.url, math.ceil(time.time())).ask_all(board, chosen)}
    assert wrong == set()


def test_no_rule_fails(live: Live) -> None:
    groups = live.api.ask("rules")["groups"]
    failed = {
        rule["name"]: rule["lastError"]
        for group in groups
        for rule in group["rules"]
        if rule.get("lastError")
    }
    assert failed == {}


def test_queries_of_cadvisors_dashboards_return_what_the_docs_say(live: Live) -> None:
    assert not [query for query, says in cadvisor_queries() if says.split()[0] not in SAID]
    for query, says in cadvisor_queries():
        # What an alert waits for has not happened: its left side has to be there.
        shown = query if "last_seen" in query else re.sub(r" > \d+$", " > -1", query)
        shown = re.sub(r" > 60$", " > 1", shown)
        if says.startswith("yes"):
            live.server.wait_for(shown)
        elif says.startswith("no"):
            for part in query.split("`, `"):
                assert live.server.query(part) == [], part


def test_the_blocks_to_copy_answer_what_others_dashboards_ask(live: Live) -> None:
    for query in drop_in_queries():
        live.server.wait_for(query)
    # What has no label of Compose is not counted twice, nor is what is selected by its name.
    for selector in ('{name!=""}', '{image!=""}', '{id="/"}'):
        recorded = live.server.query(f"container_memory_usage_bytes{selector}")
        assert not [labels for labels, _ in recorded if "container_id" in labels]
