"""What containers use by kind: rates between two readings, whoever scrapes how often."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.exposition.density import Usage, host_samples
from agent.exposition.options import Options
from agent.exposition.rows import Row
from agent.model import Container, Style, Verdict
from collectors.facts import HigherLimit, Limits, OpenvzFacts, State
from collectors.kernel.counters import Counters, Scalar
from collectors.kernel.counters.model import Draft

APP = Verdict(style=Style.APP)


def counters(cpu: float | None) -> Counters:
    draft = Draft()
    draft.scalars[Scalar.CPU_USAGE] = None if cpu is None else str(cpu).encode()
    return draft.finish()


def docker() -> Row:
    """Return a container whose CPU time its cgroup says."""
    return Row(Container(id="/a", engine="docker", state=State.RUNNING, verdict=APP), Options())


def openvz_6(seconds: float, as_of: float) -> Row:
    """Return one whose CPU time the scout has read at ``as_of``."""
    facts = OpenvzFacts(ctid="101", without_cgroup=True, cpu_seconds=seconds, cpu_as_of=as_of)
    return Row(
        Container(id="/101", engine="openvz", state=State.RUNNING, verdict=APP, openvz=facts),
        Options(),
    )


def cores(
    usage: Usage, now: float, *counted: tuple[Row, Counters], host: float = 0.0
) -> dict[str, float]:
    """Return the CPUs that are busy, by engine; "" is what runs in no container."""
    return {
        dict(sample.labels)["engine"]: sample.value
        for sample in usage.samples(counted, counters(host), now)
        if sample.name == "tallyman_host_cores"
    }


def test_cpu_is_a_rate_between_two_readings() -> None:
    usage = Usage()
    assert cores(usage, 100.0, (docker(), counters(50.0)), host=80.0) == {}
    found = cores(usage, 110.0, (docker(), counters(55.0)), host=100.0)
    assert found == {"docker": 0.5, "": 1.5}


def test_two_who_scrape_share_a_window() -> None:
    usage = Usage()
    cores(usage, 100.0, (docker(), counters(50.0)))
    first = cores(usage, 110.0, (docker(), counters(55.0)))
    assert cores(usage, 110.1, (docker(), counters(56.0))) == first


def test_one_that_was_restarted_counts_from_zero() -> None:
    usage = Usage()
    cores(usage, 100.0, (docker(), counters(50.0)))
    assert cores(usage, 110.0, (docker(), counters(2.0)))["docker"] == pytest.approx(0.2)


def test_what_the_scout_read_is_a_rate_over_its_own_time() -> None:
    """Scraped each 5 s, read each 14 s: half a core is half a core at every scrape."""
    usage, start = Usage(), 1.7e9
    shown = []
    for scrape in range(12):
        read = scrape * 5 // 14 * 14.0
        row = openvz_6(1000.0 + read / 2, start + read)
        shown.append(cores(usage, 100.0 + scrape * 5, (row, counters(None))).get("openvz"))
    assert shown[:3] == [None, None, None]
    assert shown[3:] == [0.5] * 9


def test_no_rate_over_a_clock_that_was_set_back() -> None:
    usage = Usage()
    cores(usage, 100.0, (openvz_6(10.0, 5000.0), counters(None)))
    cores(usage, 110.0, (openvz_6(15.0, 5010.0), counters(None)))
    assert "openvz" not in cores(usage, 120.0, (openvz_6(20.0, 1000.0), counters(None)))
    assert cores(usage, 130.0, (openvz_6(25.0, 1010.0), counters(None)))["openvz"] == 0.5


def under(
    limit: int, *own: int | None, cgroup: str = "/job", style: Style = Style.APP
) -> list[Container]:
    """Return containers with limits of memory of their own below a cgroup with a limit."""
    return [
        Container(
            id=f"{cgroup}/{style}{index}",
            engine="docker",
            state=State.RUNNING,
            verdict=Verdict(style=style),
            limits=Limits(
                memory_bytes=min(limit, memory or limit),
                higher=(HigherLimit(resource="memory", cgroup=cgroup, value=limit, binds=True),),
                seen=frozenset({"memory", "cpu"}),
            ),
        )
        for index, memory in enumerate(own)
    ]


def promised(name: str, *containers: Container) -> dict[str, float]:
    """Return a sum of density by style."""
    return {
        dict(sample.labels)["style"]: sample.value
        for sample in host_samples(containers)
        if sample.name == name
    }


def test_containers_under_one_limit_share_it() -> None:
    three = under(100, None, None, None)
    assert promised("tallyman_host_limit_bytes", *three) == {"app": 100}
    unlimited = promised("tallyman_host_unlimited_containers", *three)
    assert unlimited == {"app": 3}  # of CPU alone


def test_a_limit_in_common_is_shared_by_what_each_may_use_at_most() -> None:
    app, system = under(100, 60), under(100, 90, style=Style.SYSTEM)
    assert promised("tallyman_host_limit_bytes", *app, *system) == {"app": 40, "system": 60}


def test_a_limit_in_common_that_is_no_less_than_the_sum_changes_nothing() -> None:
    assert promised("tallyman_host_limit_bytes", *under(200, 60, 90)) == {"app": 150}


def test_limits_above_one_another_are_shared_from_below() -> None:
    outer = HigherLimit(resource="memory", cgroup="/job", value=120)
    inner = [
        replace(c, limits=replace(c.limits, higher=(*c.limits.higher, outer)))
        for c in under(100, None, None, cgroup="/job/inner")
    ]
    (beside,) = under(120, 80)
    sums = promised("tallyman_host_limit_bytes", *inner, beside)
    assert sums == {"app": 120}
    sums = promised("tallyman_host_limit_bytes", *inner)
    assert sums == {"app": 100}


def test_a_cpuset_is_promised_and_not_unlimited() -> None:
    c = Container(
        id="/a",
        engine="docker",
        state=State.RUNNING,
        limits=Limits(cpus=2, seen=frozenset({"memory", "cpu"}), memory_bytes=1),
    )
    assert promised("tallyman_host_limit_cores", c) == {"unknown": 2}
    assert promised("tallyman_host_unlimited_containers", c) == {}
