from __future__ import annotations

from pathlib import Path

import pytest

from collectors.engines.openvz.merge import FRESH, Views, merge, status_of
from collectors.engines.openvz.vzlist.fields import Listed
from collectors.facts import OpenvzFacts, State
from tests.support.openvz_node import (
    CONTAINERS,
    MAIL,
    NOW,
    STOPPED,
    WEB,
    AskedNode,
    counter,
    load_cases,
    remove,
)

PAGE = 4096


class TestCounters:
    def test_a_paused_container_keeps_its_counts(self, node7: AskedNode) -> None:
        running = CONTAINERS[7][1]
        assert running["ctid"] == WEB
        first = node7.look()[WEB]
        (node7.path / f"sys/fs/cgroup/freezer/machine.slice/{WEB}/freezer.state").write_text(
            "FROZEN\n"
        )
        assert node7.fake is not None
        zeros = {"held": 0, "maxheld": 0, "barrier": 131072, "limit": 131072, "failcnt": 0}
        paused = [
            {**c, "status": "paused", "numproc": zeros} if c["ctid"] == WEB else c
            for c in CONTAINERS[7]
        ]
        node7.fake.install(containers=paused)
        node7.look(now=NOW + 70)
        node7.collector._source._background.wait(60)  # type: ignore[union-attr]
        second = node7.look(now=NOW + 80)[WEB]
        assert second.state is State.PAUSED
        assert counter(second, "numproc") == counter(first, "numproc")

    def test_a_paused_container_keeps_them_also_when_the_kernel_is_silent(
        self, node7: AskedNode
    ) -> None:
        first = node7.look()[MAIL]
        assert counter(first, "physpages").failures == 31337
        (node7.path / f"sys/fs/cgroup/freezer/machine.slice/{MAIL}/freezer.state").write_text(
            "FROZEN\n"
        )
        for name in ("bc/resources", "user_beancounters"):
            remove(node7.path / "proc" / name)
        second = node7.look(now=NOW + 30)[MAIL]
        assert second.state is State.PAUSED
        assert counter(second, "physpages") == counter(first, "physpages")

    def test_failures_are_never_taken_back_by_an_older_answer(self, node4: AskedNode) -> None:
        node4.look()
        path = node4.path / "proc/bc/resources"
        path.write_text(path.read_text().replace("1405", "1500"))
        assert counter(node4.look(now=NOW + 1)["102"], "privvmpages").failures == 1500
        for name in ("bc/resources", "user_beancounters"):
            remove(node4.path / "proc" / name)
        assert counter(node4.look(now=NOW + 2)["102"], "privvmpages").failures == 1500

    @pytest.mark.parametrize(("number", "ctid"), [(4, "103"), (4, "104"), (4, "105"), (7, STOPPED)])
    def test_what_does_not_run_counts_nothing(self, tmp_path: Path, number: int, ctid: str) -> None:
        at_rest = AskedNode(tmp_path, number).look()[ctid].openvz
        assert at_rest is not None
        assert at_rest.beancounters
        for beancounter in at_rest.beancounters:
            assert (beancounter.held, beancounter.maxheld, beancounter.failures) == (
                *(None, None, None),
            )
        assert at_rest.swap_limit_bytes == 262144 * PAGE

    def test_a_vzlist_that_could_not_read_them_does_not_make_them_0(self, tmp_path: Path) -> None:
        bare = AskedNode(tmp_path, 7, vzlist=False)
        for name in ("bc/resources", "user_beancounters"):
            remove(bare.path / "proc" / name)
        file = tmp_path / "out"
        file.write_bytes(load_cases("7.0.254")["no_ubc_all_json"].stdout)
        web = bare.look(vzlist_file=str(file))[WEB]
        assert counter(web, "physpages").limit == 131072 * PAGE
        assert all(b.failures is None for b in web.openvz.beancounters)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("alive", "frozen", "at_rest", "status"),
    [
        (True, None, None, "running"),
        (True, True, None, "paused"),
        (False, None, "mounted", "mounted"),
        (False, None, None, "unknown"),
        (None, None, "stopped", "stopped"),
    ],
)
def test_without_vzlist_the_kernel_and_the_disk_give_the_status(
    alive: bool | None, frozen: bool | None, at_rest: str | None, status: str
) -> None:
    views = Views(ctid="101", now=0.0, alive=alive, frozen=frozen)
    assert status_of(views, at_rest) == status


def test_a_fresh_answer_is_preferred_and_an_old_one_is_not() -> None:
    listed = Listed(facts=OpenvzFacts(ctid="101", status="running", cpus=2))
    kernel = OpenvzFacts(ctid="101", cpus=4)
    for age, cpus in ((FRESH, 2), (FRESH + 1, 4)):
        views = Views(ctid="101", now=age, listed=listed, kernel=kernel, alive=True)
        assert merge(views, "running", ()).cpus == cpus


def test_where_vzlist_has_no_limit_the_configured_one_does_not_count() -> None:
    configured = OpenvzFacts(ctid="101", disk_hard_bytes=1, cpu_units=1000)
    listed = Listed(facts=OpenvzFacts(ctid="101"))
    merged = merge(Views(ctid="101", now=0.0, listed=listed, configured=configured), "stopped", ())
    assert (merged.disk_hard_bytes, merged.cpu_units) == (None, 1000)


_MEMORY = 1_017_683_232
"""What happened to be on the stack of a vzlist that could not read the limit."""


class TestLimitsOfIo:
    @pytest.mark.parametrize(
        ("printed", "kernel", "configured", "merged"),
        [
            (_MEMORY, None, None, None),
            (_MEMORY, None, 500, 500),
            (_MEMORY, 700, 500, 700),
            (700, 700, None, 700),  # set until the next start, without --save
            (500, None, 500, 500),
            (None, None, 500, None),
        ],
    )
    def test_what_vzlist_alone_has_is_not_used(
        self, printed: int | None, kernel: int | None, configured: int | None, merged: int | None
    ) -> None:
        views = Views(
            ctid="101",
            now=0.0,
            listed=Listed(facts=_limited(printed)),
            kernel=_limited(kernel),
            configured=_limited(configured),
            alive=True,
        )
        assert merge(views, "running", ()).io_limit_bytes_per_second == merged

    def test_without_a_configuration_vzlist_is_believed(self) -> None:
        views = Views(ctid="101", now=0.0, listed=Listed(facts=_limited(500)))
        assert merge(views, "running", ()).io_limit_bytes_per_second == 500

    def test_it_is_said_once(self, node7: AskedNode, caplog: pytest.LogCaptureFixture) -> None:
        assert node7.fake is not None
        containers = [{**c, "iolimit": _MEMORY, "cpus": 1 << 30} for c in CONTAINERS[7]]
        node7.fake.install(containers=containers)
        for later in (0, 20):
            facts = node7.look(now=NOW + later)[MAIL].openvz
            assert facts is not None
            assert (facts.io_limit_bytes_per_second, facts.cpus) == (None, None)
        (said,) = [r.getMessage() for r in caplog.records if "cannot be" in r.getMessage()]
        assert "cpus of 101" in said
        assert "iolimit of 101" in said


def _limited(limit: int | None) -> OpenvzFacts:
    return OpenvzFacts(ctid="101", io_limit_bytes_per_second=limit)
