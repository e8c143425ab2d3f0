from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from collectors.engines.openvz.vzlist.output import parse_output
from collectors.facts import Beancounter
from tests.support.openvz_node import MAIL, MOUNTED, PAUSED, STOPPED, UNKNOWN, WEB, containers_of
from tests.support.vzlist_output import CASES, QUOTE, STATUSES, counter, parse, statuses

if TYPE_CHECKING:
    from collectors.engines.openvz.vzlist.fields import Listed

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collectors.engines.openvz.vzlist.fields import Listed


PAGE = 4096


class TestFacts4:
    @pytest.fixture
    def found(self) -> dict[str, Listed]:
        return parse("4.11.1", "all_json")

    def test_a_container_that_runs(self, found: dict[str, Listed]) -> None:
        web = found["101"]
        facts = web.facts
        assert (web.name, web.hostname) == ("web01", "web01.example.com")
        assert (web.private, web.root) == ("/vz/private/101", "/vz/root/101")
        assert facts.ostemplate == "debian-12-x86_64"
        assert facts.addresses == ("192.0.2.11", "192.0.2.111", "2001:db8::11")
        assert facts.onboot is True
        assert facts.layout == "simfs"
        assert facts.load == (0.08, 0.12, 0.10)
        assert facts.uptime_seconds == 1843203.25
        assert (facts.cpu_limit_ratio, facts.cpu_units, facts.cpus) == (None, 1000, 2)
        assert (facts.disk_used_bytes, facts.disk_soft_bytes) == (921344 * 1024, 2097152 * 1024)
        assert facts.disk_hard_bytes == 2306868 * 1024
        assert (facts.inodes_used, facts.inodes_soft, facts.inodes_hard) == (31211, 131072, 144179)
        assert (facts.swap_used_bytes, facts.swap_limit_bytes) == (1204 * PAGE, 262144 * PAGE)
        assert facts.processes == 23
        assert facts.io_limit_bytes_per_second == 10485760
        assert facts.io_limit_operations_per_second == 500

    def test_beancounters_are_in_base_units_and_unlimited_is_none(
        self, found: dict[str, Listed]
    ) -> None:
        assert counter(found["101"], "physpages") == Beancounter(
            resource="physpages",
            held=30211 * PAGE,
            maxheld=131072 * PAGE,
            barrier=0,
            limit=131072 * PAGE,
            failures=0,
        )
        assert counter(found["102"], "kmemsize") == Beancounter(
            resource="kmemsize",
            held=13211984,
            maxheld=14790164,
            barrier=14372700,
            limit=14790164,
            failures=27,
        )
        assert counter(found["101"], "numproc").limit is None
        assert counter(found["102"], "swappages").limit is None
        assert len(found["102"].facts.beancounters) == 21

    def test_no_swap_at_all_is_a_limit_of_0(self, found: dict[str, Listed]) -> None:
        assert found["1000000001"].facts.swap_limit_bytes == 0

    def test_cpu_limit_is_in_cpus(self, found: dict[str, Listed]) -> None:
        assert found["102"].facts.cpu_limit_ratio == 0.5
        assert found["1000000001"].facts.cpu_limit_ratio == 1.0

    def test_a_container_at_rest_has_limits_and_no_counts(self, found: dict[str, Listed]) -> None:
        stopped = found["103"]
        assert counter(stopped, "physpages") == Beancounter(
            resource="physpages", barrier=0, limit=131072 * PAGE
        )
        assert counter(stopped, "numproc") == Beancounter(resource="numproc")
        assert not stopped.counted
        facts = stopped.facts
        assert (facts.load, facts.uptime_seconds, facts.processes) == (None, None, None)
        assert (facts.disk_used_bytes, facts.inodes_used, facts.cpus) == (None, None, None)

    def test_an_unnamed_container_has_no_name(self, found: dict[str, Listed]) -> None:
        assert found["102"].name == ""

    def test_a_container_without_configuration(self, found: dict[str, Listed]) -> None:
        facts = found["999"].facts
        assert (facts.ostemplate, facts.disk_hard_bytes, facts.processes) == ("", None, 5)


class TestFacts7:
    @pytest.fixture
    def found(self) -> dict[str, Listed]:
        return parse("7.0.254", "all_json")

    def test_a_container_that_runs(self, found: dict[str, Listed]) -> None:
        web = found[WEB]
        assert (web.name, web.facts.ostemplate, web.facts.layout) == (
            "web01",
            "debian-12-x86_64",
            "ploop",
        )
        assert web.facts.addresses == ("192.0.2.11", "10.0.0.5", "2001:db8::11")
        assert web.facts.configured_addresses == ("192.0.2.11", "2001:db8::11", "10.0.0.5")
        assert counter(web, "numproc").held == 31  # the key is there twice
        assert found["101"].facts.layout == "vzfs4"
        assert found[MOUNTED].facts.layout == ""

    def test_names_may_hold_blanks_and_a_dash_is_none(self, found: dict[str, Listed]) -> None:
        assert (found[STOPPED].name, found[MAIL].name) == ("db 01", "")

    def test_a_paused_container_has_no_counts_that_fall_to_0(
        self, found: dict[str, Listed]
    ) -> None:
        numproc = next(
            (b for b in found[PAUSED].facts.beancounters if b.resource == "numproc"), None
        )
        assert numproc is not None
        assert (numproc.held, numproc.maxheld, numproc.failures) == (None, None, None)
        assert found[PAUSED].facts.uptime_seconds == 12.34

    def test_null_counters_are_no_counters(self, found: dict[str, Listed]) -> None:
        assert found[UNKNOWN].facts.beancounters == ()

    def test_counters_that_could_not_be_read_are_not_0(self) -> None:
        # No /proc/bc: 7 prints 0 for a container that runs, which cannot be.
        web = parse("7.0.254", "no_ubc_all_json")[WEB]
        assert counter(web, "numproc") == Beancounter(resource="numproc")
        assert counter(web, "physpages").limit == 131072 * PAGE
        assert web.facts.processes is None

    def test_an_empty_value_costs_that_field(self) -> None:
        assert statuses(parse("7.0.254", "slm_json")) == STATUSES["7.0.254"]

    def test_a_suffix_on_a_json_field_is_the_whole_counter(self) -> None:
        found = parse_output(CASES["7.0.254"]["json_bad_field_suffix"].stdout)
        assert set(found) == {"101", WEB, MAIL, PAUSED, UNKNOWN}

    def test_names_in_utf8(self) -> None:
        assert parse("7.0.254", "utf8_locale_name")[QUOTE].name == "naïve"


UNLIMITED = [
    2**63 - 1,
    2**63 - PAGE,
    2**64 - 1,
    2**31 - 1,
]


@pytest.mark.parametrize("raw", [*UNLIMITED, (2**63 - 1) // PAGE, 2**63 // PAGE - 1])
def test_every_way_to_write_unlimited_in_pages(raw: int) -> None:
    assert limit_of("physpages", raw) is None


@pytest.mark.parametrize("raw", UNLIMITED)
def test_every_way_to_write_unlimited_in_bytes(raw: int) -> None:
    assert limit_of("kmemsize", raw) is None


def test_what_is_nearly_unlimited_is_a_limit() -> None:
    assert limit_of("kmemsize", 2**62) == 2**62
    assert limit_of("physpages", 2**50) == 2**50 * PAGE


def limit_of(resource: str, raw: int) -> int | None:
    counters = {"held": 1, "maxheld": 1, "barrier": raw, "limit": raw, "failcnt": 0}
    document = json.dumps([{"ctid": 1, "status": "running", resource: counters}])
    return counter(parse_output(document.encode())["1"], resource).limit


class TestBroken:
    def test_an_unknown_status_is_unknown(self) -> None:
        for output in (
            b'[\n  {\n    "ctid": 101,\n    "status": "hibernated"\n  }\n]\n',
            b"      CTID STATUS\n       101 hibernated\n",
            b"       101         23 hibernated 192.0.2.1       web\n",
        ):
            assert statuses(parse_output(output)) == {"101": "unknown"}

    @pytest.mark.parametrize("ctid", [0, -5, True, 1.5, "0", "x", "../../etc", None, 10**12])
    def test_a_container_without_a_ctid_is_left_out(self, ctid: object) -> None:
        document = json.dumps([{"ctid": ctid}, {"ctid": 5}])
        assert set(parse_output(document.encode())) == {"5"}

    @pytest.mark.parametrize(
        "value",
        [None, True, -1, 2**70, 1e400, "x", [], {}, [1, 2], [[]], {"held": {}}, float("nan")],
    )
    def test_any_value_in_any_field_costs_that_field_at_most(self, value: object) -> None:
        fields = containers_of("4.11.1")[0]
        for name in fields:
            if name not in ("ctid", "veid", "vpsid"):
                document = json.dumps([{**fields, name: value}])
                assert set(parse_output(document.encode())) == {"101"}
