"""Work of a known size moves the matching series by that much, and removed containers are gone.

For cgroup v1 and hybrid hosts; test_guest_numbers.py does the same for v2.
"""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from docker import APIClient as DockerClient

from tests.engines.harness.made import unique
from tests.engines.harness.programs import disk_of, hierarchies, run, wait_until
from tests.engines.harness.prometheus import prometheus

if TYPE_CHECKING:
    from tests.engines.harness.agent import Agent, Page
    from tests.engines.harness.dockerd import Docker
    from tests.engines.harness.made import Made

pytestmark = pytest.mark.engine

MB = 1_000_000
MIB = 1 << 20
_OF_THE_CPU = (("cpuacct", "cpuacct.usage"), ("cpu", "cpu.stat"))


def value(page: Page, metric: str, made: Made, **labels: str) -> float:
    """Return a value that must be there."""
    found = page.value(metric, name=made.name, **labels)
    assert found is not None, f"{metric} of {made.name} is not on the page"
    return found


def start(agent: Agent, docker: Docker, *command: str, options: tuple[str, ...] = ()) -> Made:
    """Start a container and wait until the agent shows its limits, too."""
    made = docker.run(docker.debian(), *command, name=unique("work"), options=options)
    agent.wait_row(made)
    agent.wait_for(
        lambda page: page.value("container_spec_cpu_shares", name=made.name), "its limits"
    )
    return made


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def file_of(made: Made, controller: str, file: str) -> str:
    """Read a file of the container's cgroup."""
    for line in Path(f"/proc/{made.pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            for top in hierarchies():
                found = top / path.lstrip("/") / file
                # The unified hierarchy has a different cpu.stat.
                if controller in top.name.split(",") and found.exists():
                    return found.read_text()
    raise AssertionError(f"{file} of {made.name} was not found")


def need_v1() -> None:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("the work on cgroup v2 is done in the guest")


def test_cpu_under_a_quota(agent: Agent, docker: Docker) -> None:
    need_v1()
    # One core until ten seconds of CPU time are used, however long that takes.
    burn = "1 until (times)[0] + (times)[1] >= 10; exec 'sleep', 86400"
    made = docker.run(
        docker.debian(), "perl", "-e", burn, name=unique("burn"), options=("--cpus=0.25",)
    )
    agent.wait_for(
        lambda p: (p.value("container_cpu_cfs_throttled_periods_total", name=made.name) or 0) > 10,
        "throttling",
        120,
    )
    wait_until(lambda: comm_of(made) == "sleep", "the end of the work", 300)

    def told() -> tuple[Page, str, str] | None:
        """Return a page and the kernel's files once idle: the sleep uses CPU to start."""
        before = [file_of(made, *where) for where in _OF_THE_CPU]
        page = agent.scrape()
        usage, stat = (file_of(made, *where) for where in _OF_THE_CPU)
        # Periods may go on, ten a second.
        rests = before[0] == usage and before[1].partition("\n")[2] == stat.partition("\n")[2]
        return (page, usage, stat) if rests else None

    page, usage, stat = wait_until(told, "a container that rests", 60)
    used = value(page, "container_cpu_usage_seconds_total", made, cpu="total")
    assert 10 <= used <= 11
    assert used == pytest.approx(int(usage) / 1e9)
    parts = [
        value(page, f"container_cpu_{part}_seconds_total", made) for part in ("user", "system")
    ]
    assert sum(parts) == pytest.approx(used, abs=0.05)
    throttled = value(page, "container_cpu_cfs_throttled_periods_total", made)
    periods = value(page, "container_cpu_cfs_periods_total", made)
    kernel = dict(line.split() for line in stat.splitlines())
    assert periods == pytest.approx(int(kernel["nr_periods"]), abs=50)
    assert throttled == int(kernel["nr_throttled"])
    seconds = value(page, "container_cpu_cfs_throttled_seconds_total", made)
    assert seconds == pytest.approx(int(kernel["throttled_time"]) / 1e9) != 0
    assert value(page, "container_spec_cpu_quota", made) == 25_000
    assert value(page, "container_spec_cpu_period", made) == 100_000


def comm_of(made: Made) -> str:
    return Path(f"/proc/{made.pid}/comm").read_text().strip()


def test_memory_under_a_limit(agent: Agent, docker: Docker) -> None:
    need_v1()
    # One string of that size, all of it written.
    perl = f"vec($x, {200 * MB - 1}, 8) = 1; print qq(ready\\n); sleep 86400"
    made = start(agent, docker, "perl", "-e", f"$|=1; {perl}", options=("--memory=300m",))
    wait_until(lambda: "ready" in docker.cli("logs", made.name), "the memory to be touched")
    page = agent.scrape()

    rss = value(page, "container_memory_rss", made)
    assert 200 * MB <= rss <= 210 * MB
    usage = value(page, "container_memory_usage_bytes", made)
    assert usage == pytest.approx(int(file_of(made, "memory", "memory.usage_in_bytes")), rel=0.05)
    assert value(page, "container_memory_working_set_bytes", made) <= usage
    assert value(page, "container_memory_max_usage_bytes", made) >= usage
    assert value(page, "container_spec_memory_limit_bytes", made) == 300 * MIB
    faults = value(
        page, "container_memory_failures_total", made, failure_type="pgfault", scope="container"
    )
    assert faults > 100
    assert value(page, "container_oom_events_total", made) == 0


def test_being_killed_for_want_of_memory(agent: Agent, docker: Docker) -> None:
    need_v1()
    greedy = f"perl -e 'vec($x, {200 * MB}, 8) = 1'; exec sleep 86400"
    made = start(agent, docker, *shell(greedy), options=("--memory=32m",))
    wait_until(lambda: comm_of(made) == "sleep", "the kill", 30)
    page = agent.scrape()

    assert value(page, "container_oom_events_total", made) == 1
    failures = int(file_of(made, "memory", "memory.failcnt"))
    assert value(page, "container_memory_failcnt", made) == failures > 0
    assert value(page, "container_memory_max_usage_bytes", made) == 32 * MIB


def test_writing_to_a_disk(agent: Agent, docker: Docker) -> None:
    need_v1()
    device = _disk_of(docker.place)
    write = "dd if=/dev/zero of=/x bs=1M count=64 conv=fsync; exec sleep 86400"
    # From Linux 6.10 on, v1 counts only once a limit is set on the device.
    options = (f"--device-write-bps={device}:1gb",)
    made = start(agent, docker, *shell(write), options=options)
    wait_until(lambda: comm_of(made) == "sleep", "the end of the work", 60)
    page = agent.scrape()

    written = value(page, "container_fs_writes_bytes_total", made, device=device)
    assert 64 * MIB <= written <= 72 * MIB
    assert value(page, "container_fs_writes_total", made, device=device) > 0


def _disk_of(path: Path) -> str:
    return disk_of(path) or pytest.skip(f"{path} is on no block device")


def test_a_container_with_a_network_and_a_disk_has_at_most_70_series(
    agent: Agent, docker: Docker
) -> None:
    script = "dd if=/dev/zero of=/file bs=64K count=128 conv=fsync; exec sleep 86400"
    made = start(agent, docker, *shell(script))

    def whole(page: Page) -> list[str]:
        """Return the names of its series once they are all there."""
        found = [
            sample.name
            for samples in page.samples.values()
            for sample in samples
            if made.handle in sample.labels.get("id", "")
        ]
        there = "container_fs_writes_total" in found and "tallyman_container_axis_score" in found
        return found if there and "container_network_receive_bytes_total" in found else []

    names = whole(agent.wait_for(whole, "its network, its disk and its verdict"))

    assert len(names) <= 70, sorted(names)


def test_sending_over_the_network(agent: Agent, docker: Docker) -> None:
    with socket.create_server(("", 0)) as listener:
        port = listener.getsockname()[1]
        script = (
            "gateway=$(busybox ip route | busybox awk '/default/ {print $3}')\n"
            f"until busybox dd if=/dev/zero bs={MB} count=10 | nc $gateway {port}\n"
            "do sleep 1; done\n"
            "exec sleep 86400"
        )
        sender = docker.run(docker.busybox(), *shell(script), name=unique("sender"))
        listener.settimeout(60)
        connection, _ = listener.accept()
        with connection:
            arrived = 0
            while data := connection.recv(1 << 20):
                arrived += len(data)
    assert arrived == 10 * MB
    traffic = "container_network_transmit_bytes_total"
    page = agent.wait_for(
        lambda p: (p.value(traffic, name=sender.name, interface="eth0") or 0) >= arrived,
        "what was sent",
    )

    sent = value(page, traffic, sender, interface="eth0")
    assert sent <= 1.5 * arrived  # including headers and retransmissions on a busy machine
    acknowledged = value(page, "container_network_receive_bytes_total", sender, interface="eth0")
    assert 0 < acknowledged < 0.5 * arrived
    (kernel,) = (
        line.split()
        for line in Path(f"/proc/{sender.pid}/net/dev").read_text().splitlines()
        if line.lstrip().startswith("eth0:")
    )
    for what, column in (("errors", 11), ("packets_dropped", 12)):
        found = value(page, f"container_network_transmit_{what}_total", sender, interface="eth0")
        assert found == int(kernel[column])


def test_forking_up_to_the_limit(agent: Agent, docker: Docker) -> None:
    fork = "for (1..40) { my $pid = fork; last if defined $pid and not $pid } sleep 86400"
    made = start(agent, docker, "perl", "-e", fork, options=("--pids-limit=20",))
    page = agent.wait_for(
        lambda p: p.value("container_threads", name=made.name) == 20, "the processes"
    )
    assert value(page, "container_processes", made) == 20
    assert value(page, "container_threads_max", made) == 20


def test_processes_of_inner_cgroups_are_counted(agent: Agent, docker: Docker) -> None:
    made = start(agent, docker, *shell("sleep 86400 & sleep 86400 & exec sleep 86400"))
    inner = [
        top / Path(f"/proc/{made.pid}/cgroup").read_text().partition("pids:/")[2].splitlines()[0]
        for top in hierarchies()
        if top.name in ("pids", "unified")
    ]
    moved = made.pids()[1]
    for path in inner:
        (path / "inner").mkdir()
        (path / "inner/cgroup.procs").write_text(str(moved))
    # It has not run since, so this may take until the next full read.
    page = agent.wait_for(
        lambda p: p.value("container_processes", name=made.name) == 3, "three processes"
    )
    assert value(page, "container_threads", made) == 3
    docker.cli("rm", "--force", made.name)
    wait_until(
        lambda: not any((path / "inner").exists() for path in inner), "the inner cgroup to go"
    )


def test_a_restarted_container_counts_from_zero_under_the_same_id(
    agent: Agent, docker: Docker
) -> None:
    made = start(
        agent, docker, *shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exec sleep 9999")
    )
    wait_until(lambda: comm_of(made) == "sleep", "the end of the work", 30)
    before = agent.scrape()
    docker.cli("restart", "--time=0", made.name)
    again = docker.made(made.name)
    agent.wait_for(
        lambda p: (
            (p.value("tallyman_container_started_seconds", id=id_of(before, made)) or 0)
            > value(before, "container_start_time_seconds", made)
        ),
        "the restart",
    )
    wait_until(lambda: comm_of(again) == "sleep", "the end of the work", 30)
    after = agent.scrape()

    assert id_of(after, again) == id_of(before, made)
    used = value(after, "container_cpu_usage_seconds_total", made, cpu="total")
    assert used == pytest.approx(int(file_of(again, "cpuacct", "cpuacct.usage")) / 1e9, abs=0.005)


def id_of(page: Page, made: Made) -> str:
    row = page.row(made.name)
    assert row is not None
    return row.id


def test_a_removed_container_leaves_no_veth_and_no_mount_while_scraped(
    agent: Agent, docker: Docker
) -> None:
    before = veths()
    made = start(agent, docker, "sleep", "86400")
    mine = veths() - before
    for _ in range(5):
        agent.scrape()
    assert mine
    docker.cli("rm", "--force", made.name)

    def gone() -> bool:
        agent.scrape()
        return not veths() & mine

    # The kernel needs a moment; an agent that pinned it would keep it alive.
    wait_until(gone, "the veth of a removed container to go", 20)
    assert not [line for line in mounts() if made.handle in line]


def test_agrees_with_docker_stats(agent: Agent, docker: Docker) -> None:
    need_v1()
    device = _disk_of(docker.place)
    work = (
        "dd if=/dev/zero of=/x bs=1M count=8 conv=fsync\n"
        "exec perl -MIO::Socket::INET -e '"
        "open R, q(/proc/net/route);"
        "my ($hex) = map { (split)[2] } grep { (split)[1] =~ /^0+$/ } <R>;"
        "my $to = join q(.), reverse map { hex } unpack q((A2)4), $hex;"
        "my $s = IO::Socket::INET->new(Proto => q(udp), PeerAddr => $to, PeerPort => 9);"
        "$s->send(q(x) x 1000) for 1..5;"
        "vec($x, 50_000_000, 8) = 1; 1 until (times)[0] >= 1; sleep 86400'"
    )
    options = (f"--device-write-bps={device}:1gb", "--memory=200m", "--pids-limit=50")
    made = start(agent, docker, *shell(work), options=options)
    client = DockerClient(base_url=docker.endpoint)

    def used() -> float:
        return value(agent.scrape(), "container_cpu_usage_seconds_total", made, cpu="total")

    def rests() -> bool:
        before = used()
        time.sleep(0.5)
        return before > 1 and used() == before

    wait_until(rests, "the end of the work", 60)

    def told() -> tuple[Page, dict[str, Any], Page] | None:
        """Return pages from before and after Docker's own numbers, with the same memory on both.

        The kernel returns a container's memory reserves at times of its own choice.
        """
        page = agent.scrape()
        said = client.stats(made.name, stream=False, one_shot=True)
        later = agent.scrape()
        names = ("usage_bytes", "working_set_bytes", "rss")
        before, after = (
            [value(p, f"container_memory_{name}", made) for name in names] for p in (page, later)
        )
        return (page, said, later) if before == after else None

    page, said, later = wait_until(told, "memory that stands still")
    client.close()

    cpu, memory = said["cpu_stats"], said["memory_stats"]
    assert value(page, "container_cpu_usage_seconds_total", made, cpu="total") == pytest.approx(
        cpu["cpu_usage"]["total_usage"] / 1e9, abs=0.01
    )
    assert value(page, "container_memory_usage_bytes", made) == memory["usage"]
    assert (
        value(page, "container_memory_working_set_bytes", made)
        == memory["usage"] - memory["stats"]["total_inactive_file"]
    )
    assert value(page, "container_memory_rss", made) == memory["stats"]["total_rss"]
    assert value(page, "container_spec_memory_limit_bytes", made) == memory["limit"]
    assert value(page, "container_threads", made) == said["pids_stats"]["current"]
    assert value(page, "container_threads_max", made) == said["pids_stats"]["limit"]
    network = said["networks"]["eth0"]
    for ours, theirs in (
        ("receive_bytes", "rx_bytes"),
        ("receive_packets", "rx_packets"),
        ("transmit_bytes", "tx_bytes"),
        ("transmit_packets", "tx_packets"),
    ):
        name = f"container_network_{ours}_total"
        # Neighbours on the bridge send packets now and then (ICMPv6), also between two reads.
        before, after = (value(p, name, made, interface="eth0") for p in (page, later))
        assert before <= network[theirs] <= after, name
    assert network["tx_bytes"] > 3000
    written = sum(
        row["value"]
        for row in said["blkio_stats"]["io_service_bytes_recursive"]
        if row["op"].lower() == "write"
    )
    assert value(page, "container_fs_writes_bytes_total", made, device=device) == written


def veths() -> set[str]:
    return set(re.findall(r"\d+: (veth\w+)", run("ip", "-o", "link")))


def mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def test_the_alert_for_a_container_that_died(agent: Agent, docker: Docker) -> None:
    made = start(agent, docker, "sleep", "86400")
    alive = value(agent.scrape(), "container_last_seen", made)
    docker.cli("kill", made.name)
    agent.wait_row(made, state="exited")
    first = value(agent.scrape(), "container_last_seen", made)
    time.sleep(2)
    page = agent.scrape()

    assert first >= alive
    assert value(page, "container_last_seen", made) == first
    assert time.time() - first > 2
    assert page.value("container_memory_usage_bytes", name=made.name) is None
    assert page.value("container_spec_cpu_shares", name=made.name) is None
    assert value_by_id(page, "tallyman_container_exit_code", made) == 137
    docker.cli("rm", made.name)
    page = agent.wait_for(
        lambda p: (row := p.row(made.name)) and row.state == "dead", "the removal"
    )
    assert value(page, "container_last_seen", made) == first


def test_the_alert_fires_on_a_real_prometheus(agent: Agent, docker: Docker, tmp_path: Path) -> None:
    made = start(agent, docker, "sleep", "86400")
    rule = {
        "alert": "ContainerKilled",
        "expr": f'time() - container_last_seen{{name="{made.name}"}} > 15',
    }
    rules = tmp_path / "rules.yml"
    # JSON is YAML.
    rules.write_text(json.dumps({"groups": [{"name": "cadvisor", "rules": [rule]}]}))
    with prometheus(f"127.0.0.1:{agent.port}", rules) as server:
        server.wait_for(f'container_last_seen{{name="{made.name}"}}')
        docker.cli("kill", made.name)
        fired = server.wait_for(
            'ALERTS{alertname="ContainerKilled", alertstate="firing"}', bool, 180
        )

    assert [labels["name"] for labels, _ in fired] == [made.name]


def value_by_id(page: Page, metric: str, made: Made) -> float | None:
    return page.value(metric, id=id_of(page, made))
