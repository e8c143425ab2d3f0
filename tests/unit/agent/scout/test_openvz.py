"""OpenVZ's own limits, what the verdict makes of its containers, and which beancounters show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.exposition.samples import container_samples
from agent.model import Style
from agent.scout.openvz import with_openvz_limits
from collectors.facts import Beancounter, FilesystemUsage, Limits, OpenvzFacts, State
from tests.support.subjects import findings_of, run, subject, verdict_of

if TYPE_CHECKING:
    from agent.model import Subject

GIB = 1 << 30


def bean(resource: str, limit: int | None = None, **more: int | None) -> Beancounter:
    return Beancounter(resource=resource, limit=limit, **more)


def facts(*beancounters: Beancounter, **more: Any) -> OpenvzFacts:
    return OpenvzFacts(ctid="101", status="running", beancounters=beancounters, **more)


UNLIMITED = facts(bean("physpages"), bean("privvmpages"), bean("numproc"), cpu_units=1000)


class TestLimits:
    def test_a_container_of_anybody_else(self) -> None:
        limits = Limits(memory_bytes=1, seen=frozenset({"memory"}))
        assert with_openvz_limits(limits, None) is limits

    def test_vswap(self) -> None:
        known = facts(
            bean("physpages", GIB),
            bean("numproc", 400),
            cpu_limit_ratio=1.5,
            cpu_units=1000,
            swap_limit_bytes=GIB // 2,
        )
        assert with_openvz_limits(Limits(), known) == Limits(
            memory_bytes=GIB,
            memory_swap_bytes=GIB + GIB // 2,
            cpu_quota_us=150_000,
            cpu_period_us=100_000,
            cpu_shares=1024,
            pids=400,
            own_quota=True,
            seen=frozenset({"memory", "swap", "cpu", "pids"}),
        )

    def test_before_there_was_vswap_privvmpages_was_the_promise(self) -> None:
        known = facts(bean("physpages"), bean("privvmpages", GIB))
        assert with_openvz_limits(Limits(), known).memory_bytes == GIB

    def test_of_two_limits_the_smaller_one_holds(self) -> None:
        known = facts(bean("physpages", GIB), bean("numproc", 400))
        limits = with_openvz_limits(Limits(memory_bytes=2 * GIB, pids=100), known)
        assert (limits.memory_bytes, limits.pids) == (GIB, 100)

    def test_no_limit_is_known_to_be_none(self) -> None:
        limits = with_openvz_limits(Limits(), UNLIMITED)
        assert limits.seen == {"memory", "cpu", "pids"}
        assert (limits.memory_bytes, limits.cpu_quota_us, limits.pids) == (None, None, None)

    def test_what_is_not_known_is_not_said_to_be_unlimited(self) -> None:
        assert with_openvz_limits(Limits(), facts()) == Limits()


class TestFinding:
    def names(self, known: OpenvzFacts) -> set[str]:
        limits = with_openvz_limits(Limits(), known)
        judged = subject(run("redis"), engine="openvz", openvz=known, limits=limits)
        return findings_of(judged)

    def test_without_a_limit_of_any_kind(self) -> None:
        assert "no_limits" in self.names(UNLIMITED)

    def test_any_of_its_own_limits_is_one(self) -> None:
        for known in (
            facts(bean("physpages", GIB), bean("numproc"), cpu_units=1000),
            facts(bean("physpages"), bean("numproc", 400), cpu_units=1000),
            replace(UNLIMITED, cpu_limit_ratio=0.5),
        ):
            assert "no_limits" not in self.names(known)

    def test_one_program_says_so(self) -> None:
        assert "single_app_in_system_container" in self.names(UNLIMITED)


class TestVerdict:
    def openvz(self, *tree: Any, **more: Any) -> Subject:
        known = more.pop("openvz", facts())
        return subject(*(tree or (None,)), engine="openvz", openvz=known, **more)

    def test_an_init_that_has_started_nothing_is_no_program(self) -> None:
        init = run("/sbin/init", args="")
        lone = replace(init, argv=("init", "-z"))
        verdict = verdict_of(self.openvz(lone, boots=True))
        assert verdict.style is Style.SYSTEM
        assert verdict.confidence <= 0.35
        assert "its init has started nothing yet" in verdict.unseen
        assert verdict.services == 0

    def test_the_same_init_in_an_engine_of_applications_says_nothing(self) -> None:
        lone = replace(run("/sbin/init"), argv=("init", "-z"))
        assert verdict_of(subject(lone, engine="docker")).style is Style.UNKNOWN

    def test_a_name_in_argv_alone_is_no_init(self) -> None:
        forged = replace(run("/usr/bin/redis-server"), argv=("init", "-z"))
        assert verdict_of(self.openvz(forged, boots=True)).style is Style.APP

    def test_one_program_is_app_style_in_a_system_engine(self) -> None:
        verdict = verdict_of(self.openvz(run("redis")))
        assert (verdict.style, verdict.confidence > 0.5) == (Style.APP, True)

    def test_what_was_not_looked_into_is_judged_by_what_vzlist_knows(self) -> None:
        many = verdict_of(self.openvz(state=State.RUNNING, openvz=facts(processes=40)))
        few = verdict_of(self.openvz(state=State.RUNNING, openvz=facts(processes=2)))
        none = verdict_of(self.openvz(state=State.RUNNING))
        assert many.style is none.style is Style.SYSTEM
        assert few.style is Style.UNKNOWN
        assert max(many.confidence, none.confidence, few.confidence) <= 0.35
        assert any("OpenVZ counts 40 processes" in e.sentence for e in many.evidence)

    def test_what_was_looked_into_is_not_judged_by_a_count(self) -> None:
        verdict = verdict_of(self.openvz(run("redis"), openvz=facts(processes=40)))
        assert not [e for e in verdict.evidence if e.rule.startswith("services.counted")]


class TestBeancounters:
    def shown(self, *beancounters: Beancounter, whole: bool = False) -> set[tuple[str, str]]:
        container = subject(run("redis"), openvz=facts(*beancounters)).container
        return {
            (s.name.removeprefix("tallyman_openvz_beancounter_"), dict(s.labels)["resource"])
            for s in container_samples(container, all_beancounters=whole)
            if s.name.startswith("tallyman_openvz_beancounter_")
        }

    def test_only_what_is_limited_shows(self) -> None:
        free = bean("numfile", held=1, maxheld=2, failures=0)
        tight = bean("numproc", 9, held=1, maxheld=2, barrier=9, failures=0)
        assert {resource for _, resource in self.shown(free, tight)} == {"numproc"}
        assert {resource for _, resource in self.shown(free, tight, whole=True)} == {
            "numfile",
            "numproc",
        }

    def test_what_was_refused_shows(self) -> None:
        assert ("failures_total", "numfile") in self.shown(bean("numfile", failures=1))

    def test_a_barrier_shows_where_it_is_another_than_the_limit(self) -> None:
        equal = bean("numproc", 9, barrier=9)
        none = bean("physpages", 9, barrier=0)
        own = bean("kmemsize", 9, barrier=8)
        assert {r for n, r in self.shown(equal, none, own) if n == "barrier"} == {"kmemsize"}
        assert len([1 for n, _ in self.shown(equal, none, own, whole=True) if n == "barrier"]) == 3

    def test_unlimited_is_absent(self) -> None:
        shown = self.shown(bean("numfile", held=1, failures=0), whole=True)
        assert shown == {("held", "numfile"), ("failures_total", "numfile")}


class TestDisk:
    def used(self, known: OpenvzFacts, filesystem: FilesystemUsage | None) -> float | None:
        made = subject(run("redis"), openvz=known, filesystem=filesystem).container
        found = [s.value for s in container_samples(made) if s.name == "container_fs_usage_bytes"]
        return found[0] if found else None

    def test_vzlist_knows_it_best(self) -> None:
        known = facts(disk_used_bytes=5)
        assert self.used(known, FilesystemUsage(used_bytes=7)) == 5

    def test_without_vzlist_its_own_disk_says_it(self) -> None:
        assert self.used(facts(), FilesystemUsage(used_bytes=7)) == 7
        assert self.used(facts(), FilesystemUsage(limit_bytes=9)) is None
        assert self.used(facts(), None) is None
