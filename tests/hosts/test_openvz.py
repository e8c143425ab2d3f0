"""OpenVZ nodes end to end: the real agent on the trees of both nodes, with what vzlist printed.

The pages, lists and explanations in openvz-*.{metrics,ls,explain} are what people get to see.
"""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness.agent import TALLYMAN, Page, running_agent, tallyman
from tests.engines.harness.prometheus import promtool_objections
from tests.hosts.conftest import HERE
from tests.hosts.test_golden import normalised
from tests.support.openvz_node import (
    BOOT_TIME,
    NOW,
    PAUSED,
    STATES,
    STATES_4,
    WEB,
    FakeVzlist,
    containers_of,
    load_cases,
    make_node,
    remove,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = {4: "4.11.1", 7: "7.0.254"}
EXPLAINED = {4: ("web01", "redis", "db01"), 7: ("web01", "vstorage-iscsi", "cccccccccccc")}
STALE = frozenset({"exit 1", "nothing", "half"})

OF_NOW = re.compile(r"^(?:tallyman_openvz_as_of_seconds|tallyman_container_created_seconds)")
"""Metrics that hang on when the test runs: when vzlist was asked, and the birth of a tree."""


class Node:
    """A node on disk, and the agent's flags that point at it."""

    def __init__(self, top: Path, number: int) -> None:
        self.number = number
        self.path = make_node(top / "node", number)
        # The moment in which the node was captured, by the clock of its boot.
        (self.path / "proc/uptime").write_text(f"{NOW - BOOT_TIME:.2f} 0.00\n")
        self.fake = FakeVzlist(top, number, containers_of(VERSIONS[number]))
        self.flags = (
            f"--path.procfs={self.path}/proc",
            f"--path.sysfs={self.path}/sys",
            f"--path.rootfs={self.path}",
        )
        self.with_vzlist = (*self.flags, f"--collector.openvz.vzlist-command={self.fake.path}")

    def states(self, *flags: str) -> dict[str, str]:
        """What ``tallyman ls`` says of each OpenVZ container."""
        found = json.loads(tallyman("ls", "--json", *(flags or self.with_vzlist)))
        return {c["engine_id"]: c["state"] for c in found if c["engine"] == "openvz"}


@pytest.fixture(params=[4, 7])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Node:
    return Node(tmp_path, request.param)


@pytest.fixture
def node4(tmp_path: Path) -> Node:
    return Node(tmp_path, 4)


@pytest.fixture
def node7(tmp_path: Path) -> Node:
    return Node(tmp_path, 7)


def page_of(*flags: str, asked: bool = False) -> str:
    """What the agent shows once its picture is complete, and vzlist has answered if it was asked.

    A machine that is busy may be late with that: then the first picture does without.
    """
    with running_agent(*flags, start_seconds=60) as agent:
        agent.wait_ready(60)
        if asked:
            agent.wait_for(
                lambda p: p.samples.get("tallyman_openvz_disk_inodes_used", [])[3:],
                "vzlist's answer",
                60,
            )
        return agent.get("/metrics").text


def steady(page: str) -> str:
    """The page without what differs from run to run."""
    # There is a lag once vzlist's answer has come after the first picture.
    lines = [line for line in normalised(page).splitlines() if "event_lag_seconds" not in line]
    return "\n".join(
        [f"{line.rpartition(' ')[0]} …" if OF_NOW.match(line) else line for line in lines] + [""]
    )


def ageless(text: str) -> str:
    """What people are shown, without how long ago something was."""
    table = re.sub(r" +\d+[smhd]$", " …", text, flags=re.MULTILINE)
    return re.sub(r"\b(?:\d+ (?:day|hour|minute|second)s?|less than a second)\b", "…", table)


def compare(name: str, found: str, *, update: bool) -> None:
    golden = HERE / name
    if update:
        golden.write_text(found)
    assert found == golden.read_text()


class TestGolden:
    def test_page(self, node: Node, *, update_golden: bool) -> None:
        page = page_of(*node.with_vzlist, asked=True)
        compare(f"openvz-{node.number}.metrics", steady(page), update=update_golden)
        assert promtool_objections(page) == []

    def test_page_of_the_kernels_side_alone(self, node: Node, *, update_golden: bool) -> None:
        page = page_of(*node.flags)
        compare(f"openvz-{node.number}-kernel.metrics", steady(page), update=update_golden)
        assert promtool_objections(page) == []

    def test_list(self, node: Node, *, update_golden: bool) -> None:
        text = tallyman("ls", "--all", *node.with_vzlist)
        compare(f"openvz-{node.number}.ls", ageless(text), update=update_golden)

    def test_explanations(self, node: Node, *, update_golden: bool) -> None:
        texts = [tallyman("explain", name, *node.with_vzlist) for name in EXPLAINED[node.number]]
        text = ageless("\n".join(texts))
        compare(f"openvz-{node.number}.explain", text, update=update_golden)


class TestVerdicts:
    def test_one_program_is_app_style_in_a_system_engine(self, node4: Node) -> None:
        found = json.loads(tallyman("ls", "--json", *node4.with_vzlist))
        (redis,) = [c for c in found if c["name"] == "redis"]
        assert (redis["style"], redis["expected_style"], redis["mismatch"]) == (
            *("app", "system", True),
        )
        names = {finding["name"] for finding in redis["findings"]}
        assert "single_app_in_system_container" in names

    def test_docker_inside_is_nested(self, node7: Node) -> None:
        found = json.loads(tallyman("ls", "--json", *node7.with_vzlist))
        (docker,) = [c for c in found if c["engine"] == "docker"]
        (web,) = [c for c in found if c["engine_id"] == WEB]
        assert (docker["parent_id"], docker["style"], web["style"]) == (web["id"], "app", "system")
        assert web["parent_id"] == ""

    def test_what_cannot_be_looked_into(self, node7: Node) -> None:
        for process in (node7.path / "proc").iterdir():
            if process.name.isdigit() and int(process.name) > 2000:
                remove(process)
        found = json.loads(tallyman("ls", "--json", *node7.with_vzlist))
        (web,) = [c for c in found if c["engine_id"] == WEB]
        assert (web["state"], web["style"]) == ("running", "system")
        assert 0 < web["confidence"] <= 0.35


class TestInside:
    """The agent in a container: /proc/vz is there and /proc/bc is not."""

    @pytest.fixture
    def flags(self, tmp_path: Path) -> tuple[str, ...]:
        node = make_node(tmp_path / "node", 4)
        for name in ("bc", "vz/veinfo", "vz/vestat", "vz/vzquota", "fairsched"):
            remove(node / "proc" / name)
        for name in ("etc", "vz"):
            remove(node / name)
        (node / "proc/vz/veinfo").write_text("       101     0    23      192.0.2.11\n")
        # The kernel shows a container its own beancounters alone.
        rows = (node / "proc/user_beancounters").read_text().splitlines(keepends=True)
        heads = [n for n, row in enumerate(rows) if row.split()[0].rstrip(":").isdigit()]
        (own,) = [n for n in heads if rows[n].split()[0] == "102:"]
        end = min([n for n in heads if n > own], default=len(rows))
        (node / "proc/user_beancounters").write_text("".join(rows[:2] + rows[own:end]))
        for process in (node / "proc").iterdir():
            if process.name.isdigit() and process.name != "1":
                remove(process)
        return (
            f"--path.procfs={node}/proc",
            f"--path.sysfs={node}/sys",
            f"--path.rootfs={node}",
        )

    def test_it_says_so(self, flags: tuple[str, ...]) -> None:
        assert "inside a container (OpenVZ)" in tallyman("ls", *flags)
        # It ends with 1, as something cannot be seen.
        done = subprocess.run(
            [TALLYMAN, "check", "--json", *flags], capture_output=True, check=False
        )
        checks = json.loads(done.stdout)
        (found,) = [c["found"] for c in checks if c["name"] == "pid namespace"]
        assert "runs in a container, openvz" in found

    def test_it_shows_what_its_node_holds_it_to(self, flags: tuple[str, ...]) -> None:
        text = page_of(*flags)
        page = Page(text)
        assert page.value("tallyman_host_info", virtualization="openvz") == 1
        labels = {"id": "/", "resource": "numproc"}
        assert page.value("tallyman_openvz_beancounter_limit", **labels) == 240
        assert page.value("tallyman_openvz_beancounter_failures_total", **labels) == 12
        assert page.rows() == []
        assert promtool_objections(text) == []


class TestFaults:
    """Whatever vzlist does, every container is there, and what does not need it is measured."""

    @pytest.mark.parametrize("fault", ["exit 1", "nothing", "half", "hang", "grandchild"])
    def test_it_misbehaves(self, node: Node, fault: str) -> None:
        node.fake.install(fault=fault)
        assert node.states() == STATES[node.number]

    def test_check_says_what_is_lost_by_one_that_hangs(self, node7: Node) -> None:
        node7.fake.install(fault="hang")
        # It ends with 1, as something cannot be seen.
        done = subprocess.run(
            [TALLYMAN, "check", "--json", *node7.with_vzlist], capture_output=True, check=False
        )
        (found,) = [c for c in json.loads(done.stdout) if c["name"] == "collector openvz"]
        assert (found["ok"], found["found"]) == (False, "vzlist has not answered yet")
        assert "limits, use and addresses that only vzlist tells" in found["lost"]

    def test_it_is_not_executable(self, node: Node) -> None:
        node.fake.path.chmod(0o644)
        assert node.states() == STATES[node.number]

    def test_it_is_missing_at_all(self, node: Node) -> None:
        assert node.states(*node.flags) == STATES[node.number]

    def test_it_is_no_program(self, node: Node) -> None:
        node.fake.path.write_bytes(b"\x7fELF")
        assert node.states() == STATES[node.number]

    def test_it_prints_10000_containers(self, node4: Node) -> None:
        many = [{"ctid": 10_000 + n, "status": "stopped"} for n in range(10_000)]
        node4.fake.install(containers=[*containers_of("4.11.1"), *many], fields=["ctid", "status"])
        found = node4.states()
        assert STATES_4.items() <= found.items()
        # The agent's own cap on containers holds.
        assert 1000 <= len(found) <= len(STATES_4) + len(many)

    def test_it_prints_the_captured_document_whatever_is_asked(self, node: Node) -> None:
        document = node.path.parent / "document"
        document.write_bytes(load_cases(VERSIONS[node.number])["all_json"].stdout)
        node.fake.path.write_text(f"#!/bin/sh\nexec cat {document}\n")
        node.fake.path.chmod(0o755)
        assert node.states() == STATES[node.number]

    def test_it_is_replaced_and_fails_between_two_runs(self, node7: Node) -> None:
        intervals = ("--inventory.full-interval=1s", "--inventory.poll-interval=1s")
        with running_agent(*node7.with_vzlist, *intervals, start_seconds=60) as agent:
            agent.wait_ready(60)
            first = agent.scrape()
            names = {row.name for row in first.rows()}
            at = first.value("tallyman_openvz_as_of_seconds", id=f"/machine.slice/{WEB}")
            assert at is not None

            changed = [{**c, "ostemplate": ".new"} for c in containers_of("7.0.254")]
            node7.fake.install(containers=changed)
            page = agent.wait_for(
                lambda p: p.value("tallyman_openvz_info", ostemplate="new", ctid=WEB),
                "what the new vzlist says",
                60,
            )
            as_of = page.value("tallyman_openvz_as_of_seconds", id=f"/machine.slice/{WEB}")
            assert as_of is not None
            assert as_of > at

            node7.fake.install(fault="exit 1")
            before = page.value("tallyman_collector_malformed_total", collector="openvz") or 0
            page = agent.wait_for(
                lambda p: (
                    (p.value("tallyman_collector_malformed_total", collector="openvz") or 0)
                    > before
                ),
                "the failure to be counted",
                60,
            )
            assert page.value("tallyman_collector_success", collector="openvz") == 0
            # The last good answer is kept, with its age.
            assert {row.name for row in page.rows()} == names
            assert page.value("tallyman_openvz_info", ostemplate="new", ctid=WEB) == 1
            assert page.value("tallyman_openvz_as_of_seconds", id=f"/machine.slice/{WEB}") == as_of


class TestCounters:
    def test_failures_never_fall_while_it_is_paused(self, node7: Node) -> None:
        mail = "9a27e1b6-5c0e-4f3a-8d6e-0f1a2b3c4d5e"
        intervals = ("--inventory.full-interval=1s", "--inventory.poll-interval=1s")
        with running_agent(*node7.with_vzlist, *intervals, start_seconds=60) as agent:
            agent.wait_ready(60)
            labels = {"id": f"/machine.slice/{mail}", "resource": "numproc"}
            before = agent.scrape().value("tallyman_openvz_beancounter_failures_total", **labels)
            assert before
            zeros = {"held": 0, "maxheld": 0, "failcnt": 0}
            paused = [
                {
                    k: {**v, **zeros} if isinstance(v, dict) and "failcnt" in v else v
                    for k, v in {**c, "status": "paused"}.items()
                }
                if c["ctid"] == mail
                else c
                for c in containers_of("7.0.254")
            ]
            frozen = node7.path / f"sys/fs/cgroup/freezer/machine.slice/{mail}/freezer.state"
            frozen.chmod(stat.S_IRUSR | stat.S_IWUSR)
            frozen.write_text("FROZEN\n")
            node7.fake.install(containers=paused)
            page = agent.wait_for(
                lambda p: p.value(
                    "tallyman_openvz_status", id=f"/machine.slice/{mail}", status="paused"
                ),
                "the container to be paused",
                60,
            )
            assert page.value("tallyman_openvz_beancounter_failures_total", **labels) == before
            assert page.value("tallyman_container_state", id=labels["id"], state="paused") == 1

    def test_the_group_of_all_beancounters(self, node7: Node) -> None:
        few, many = (
            page_of(*node7.with_vzlist),
            page_of(*node7.with_vzlist, "--collector.beancounters"),
        )
        name = "tallyman_openvz_beancounter_maxheld"
        assert name not in few
        whole = Page(many)
        assert whole.value(name, id=f"/machine.slice/{WEB}", resource="numproc")
        assert not [s for s in whole.samples[name] if PAUSED in s.labels["id"] and not s.value >= 0]


@pytest.fixture(autouse=True)
def no_vzlist_is_left(tmp_path: Path) -> Iterator[None]:
    """Whatever vzlist did, nothing of it runs when the agent has ended."""
    yield
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path / "vzlist") not in listed.stdout
