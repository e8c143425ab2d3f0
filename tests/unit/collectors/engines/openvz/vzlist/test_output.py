"""Every captured output of the real vzlist 4.11.1 and 7.0.254, and what nobody has printed yet."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.engines.openvz.vzlist.errors import (
    CutShort,
    EmptyOutput,
    NotAList,
    Unusable,
    VzlistError,
)
from collectors.engines.openvz.vzlist.output import parse_output
from collectors.facts import Beancounter
from tests.support import fake_vzlist
from tests.support.openvz_node import VERSIONS, containers_of, load_cases

if TYPE_CHECKING:
    from collectors.engines.openvz.vzlist.fields import Listed

CASES = {version: load_cases(version) for version in VERSIONS}
PAGE = 4096
WEB = "3d32522a-80af-4773-b9fa-ea4915dee4b3"
MAIL = "9a27e1b6-5c0e-4f3a-8d6e-0f1a2b3c4d5e"
MOUNTED = "aaaaaaaa-1111-4222-8333-944455556668"
PAUSED = "b1c2d3e4-f5a6-4789-90ab-cdef01234567"
UNKNOWN = "dddddddd-1111-4222-8333-944455556669"
STOPPED = "e6a7f1c2-1111-4222-8333-944455556666"
SUSPENDED = "f0000000-1111-4222-8333-944455556667"
QUOTE = "11111111-aaaa-4bbb-8ccc-dddddddddddd"
NEWLINE = "22222222-aaaa-4bbb-8ccc-dddddddddddd"

STATUSES = {
    "4.11.1": {
        "101": "running",
        "102": "running",
        "103": "stopped",
        "104": "suspended",
        "105": "mounted",
        "110": "stopped",
        "777": "running",
        "999": "running",
        "1000000001": "running",
    },
    "7.0.254": {
        "101": "running",
        WEB: "running",
        MAIL: "running",
        MOUNTED: "mounted",
        PAUSED: "paused",
        UNKNOWN: "unknown",
        STOPPED: "stopped",
        SUSPENDED: "suspended",
    },
}
HOSTILE = {
    "4.11.1": {**STATUSES["4.11.1"], **dict.fromkeys(("201", "202", "203", "204"), "stopped")},
    "7.0.254": {**STATUSES["7.0.254"], QUOTE: "stopped", NEWLINE: "stopped"},
}


def parse(version: str, case: str) -> dict[str, Listed]:
    return parse_output(CASES[version][case].stdout)


def statuses(found: Mapping[str, Listed]) -> dict[str, str]:
    return {ctid: listed.facts.status for ctid, listed in found.items()}


def counter(listed: Listed, resource: str) -> Beancounter:
    return next(b for b in listed.facts.beancounters if b.resource == resource)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "case", ["all_json", "all_json_long", "all", "cols", "cols_hdr", "json_cols"]
)
def test_lists_all_containers_with_their_status(version: str, case: str) -> None:
    assert statuses(parse(version, case)) == STATUSES[version]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", ["hostile_all", "hostile_all_json"])
def test_hostile_names_cost_no_container(version: str, case: str) -> None:
    assert statuses(parse(version, case)) == HOSTILE[version]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", ["hostile_json_few", "hostile_text_desc"])
def test_hostile_descriptions_cost_no_other_field(version: str, case: str) -> None:
    found = parse(version, case)
    whole = parse(version, "hostile_all_json")
    assert {c: (x.name, x.hostname) for c, x in found.items()} == {
        c: (x.name, x.hostname) for c, x in whole.items()
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("case", "kept"),
    [
        ("default", {"running", "paused", "unknown"}),
        ("json_running", {"running", "paused", "unknown"}),
        ("stopped", {"stopped", "suspended", "mounted", "paused", "unknown"}),
        ("stopped_json", {"stopped", "suspended", "mounted", "paused", "unknown"}),
    ],
)
def test_lists_what_a_filter_leaves(version: str, case: str, kept: set[str]) -> None:
    expected = {c: status for c, status in STATUSES[version].items() if status in kept}
    assert statuses(parse(version, case)) == expected


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", ["one_per_line", "ip_mid_last", "sort_laverage"])
def test_lists_containers_of_which_it_says_little(version: str, case: str) -> None:
    assert set(parse(version, case)) == set(STATUSES[version])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "case", ["empty_node_json", "hostname_filter_none", "hostname_filter_none_json"]
)
def test_no_containers_is_an_answer(version: str, case: str) -> None:
    assert parse(version, case) == {}


@pytest.mark.parametrize(
    ("version", "case"),
    [
        *((v, c) for v in VERSIONS for c in ("bad_id", "bad_sort", "missing_id", "not_root")),
        *((v, "unknown_field") for v in VERSIONS),
        ("4.11.1", "empty_node"),
        ("4.11.1", "json_bad_field_suffix"),
        ("4.11.1", "no_fairsched_all_json"),
        ("4.11.1", "no_ubc_all_json"),
        ("4.11.1", "no_vz_kernel"),
        ("4.11.1", "no_vz_kernel_all"),
        ("4.11.1", "no_vz_kernel_all_json"),
        ("7.0.254", "conf_locked_5s_timeout"),
        ("7.0.254", "missing_id_json"),
        ("7.0.254", "no_trim"),
    ],
)
def test_no_output_is_a_failure(version: str, case: str) -> None:
    with pytest.raises(EmptyOutput):
        parse(version, case)


@pytest.mark.parametrize(
    ("version", "case"),
    [
        ("4.11.1", "list_fields"),
        ("7.0.254", "list_fields"),
        ("4.11.1", "names"),
        ("7.0.254", "compat"),
        ("4.11.1", "ubc_fail"),
        ("7.0.254", "ubc_fail"),
    ],
)
def test_what_does_not_say_which_container_is_not_guessed(version: str, case: str) -> None:
    with pytest.raises(NotAList):
        parse(version, case)


def test_every_case_gives_containers_or_a_named_error() -> None:
    for version, cases in CASES.items():
        for case in cases.values():
            try:
                found = parse_output(case.stdout)
            except VzlistError:
                continue
            assert set(found) <= set(HOSTILE[version])


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


class TestTable:
    def test_says_the_same_as_the_json(self) -> None:
        for version in VERSIONS:
            table, whole = parse(version, "cols_hdr"), parse(version, "all_json")
            for ctid, listed in table.items():
                facts, expected = listed.facts, whole[ctid].facts
                assert facts.load == expected.load
                assert facts.disk_used_bytes == expected.disk_used_bytes
                assert facts.disk_hard_bytes == expected.disk_hard_bytes
                assert facts.cpu_limit_ratio == expected.cpu_limit_ratio
                assert facts.cpu_units == expected.cpu_units
                assert facts.ostemplate == expected.ostemplate
                assert listed.hostname == whole[ctid].hostname
                assert facts.uptime_seconds == (
                    int(expected.uptime_seconds) if expected.uptime_seconds else None
                )
                if listed.counted:
                    assert facts.processes == expected.processes
                    assert facts.swap_used_bytes == expected.swap_used_bytes
                    numproc = counter(listed, "numproc")
                    assert numproc.limit == counter(whole[ctid], "numproc").limit
                    assert numproc.failures == counter(whole[ctid], "numproc").failures

    def test_addresses_that_come_last_are_all_of_them(self) -> None:
        found = parse("7.0.254", "netif")
        assert found[WEB].facts.addresses == ("192.0.2.11", "10.0.0.5", "2001:db8::11")
        assert found[WEB].partial_addresses == ()

    def test_an_address_that_does_not_come_last_is_one_of_them(self) -> None:
        found = parse("4.11.1", "all")
        assert found["101"].facts.addresses == ()
        assert found["101"].partial_addresses == ("192.0.2.11",)

    def test_an_address_that_was_cut_is_none(self) -> None:
        # "2001:0db8:0000:" stands there.
        assert parse("7.0.254", "default")[WEB].partial_addresses == ()
        cut = b"CTID IP_ADDR         HOSTNAME\n 101 2001:db8:1::123 x\n"
        assert parse_output(cut)["101"].partial_addresses == ()

    def test_no_trim_shows_all_addresses_in_any_column(self) -> None:
        found = parse("4.11.1", "no_trim")
        assert found["101"].facts.addresses == ("192.0.2.11", "192.0.2.111", "2001:db8::11")
        assert found["101"].hostname == "web01.example.com"

    def test_names_with_blanks_in_the_middle(self) -> None:
        found = parse("4.11.1", "hostile_all")
        assert found["202"].hostname == "two words.example.com"
        assert found["203"].hostname == ""
        assert parse("7.0.254", "names")[STOPPED].name == "db 01"

    def test_a_long_number_pushes_what_is_behind_it(self) -> None:
        table = (
            b"      CTID    NPROC.L NAME                             HOSTNAME\n"
            b"       101 9223372036854775807 a b                              c d\n"
        )
        found = parse_output(table)["101"]
        assert (found.name, found.hostname) == ("a b", "c d")

    def test_a_name_of_7_that_is_too_long_pushes_what_is_behind_it(self) -> None:
        name = "n" * 40
        table = (
            b"      CTID HOSTNAME                         NAME\n"
            + f"       101 {name} x y\n".encode()
        )
        found = parse_output(table)["101"]
        assert (found.hostname, found.name) == (name, "x y")

    def test_unknown_columns_cost_nothing(self) -> None:
        table = b"STATUS    NEWCOL       CTID HOSTNAME\nrunning   what          101 web\n"
        found = parse_output(table)["101"]
        assert (found.facts.status, found.hostname) == ("running", "web")

    def test_the_columns_of_2006(self) -> None:
        table = (
            b"     VPSID      NPROC STATUS  IP_ADDR         HOSTNAME\n"
            b"       101         23 running 192.0.2.11      web\n"
        )
        found = parse_output(table)["101"]
        assert (found.facts.status, found.hostname, found.facts.processes) == ("running", "web", 23)

    def test_text_that_overflows_costs_no_number_behind_it(self) -> None:
        # 7 cuts no text: blanks in it must not shift the numbers into each other's columns.
        table = (
            b"      CTID NAME                                  NPROC    NPROC.F STATUS    IP_ADDR\n"
            b"       101 a name of many words that is longer than its column          3"
            b"          7 running   192.0.2.1 192.0.2.2\n"
            b"       102                                           4          8 running   -\n"
        )
        found = parse_output(table)
        assert found["101"].name == "a name of many words that is longer than its column"
        assert found["101"].facts.addresses == ("192.0.2.1", "192.0.2.2")
        assert [(f.facts.processes, f.facts.status) for f in found.values()] == [
            (3, "running"),
            (4, "running"),
        ]
        assert counter(found["102"], "numproc").failures == 8

    def test_headers_that_stand_right_of_their_text(self) -> None:
        # print_hdr() and print_one_ve() of vzctl 4.0: SMARTNAME is %10s, ORIGIN_SAMPLE %32s over
        # text that stands at the left.
        form = "{:>10} {:<32} {:{}32} {:<32} {:>10} {:<9} {:>5}\n"
        header = ("CTID", "PRIVATE", "ORIGIN_SAMPLE", ">", "NAME", "SMARTNAME", "STATUS", "VSWAP")
        rows = (
            ("101", "/vz/private/101", "-", "<", "web 01", "web 01", "running", "no"),
            ("1000000001", "/p", "vswap-256m", "<", "-", "1000000001", "stopped", "yes"),
        )
        table = "".join(form.format(*row) for row in (header, *rows))
        found = parse_output(table.encode())
        assert [(f.name, f.private, f.facts.status) for f in found.values()] == [
            ("web 01", "/vz/private/101", "running"),
            ("", "/p", "stopped"),
        ]

    def test_the_root_of_7_with_a_uuid_is_longer_than_its_column(self) -> None:
        # print_hdr() and print_ve_root() of OpenVZ 7's vzctl: %-36s over %-32s; UUID is %36s.
        table = (
            f"{'CTID':>36} {'ROOT':<36} {'UUID':>36} {'HOSTNAME':<32} {'STATUS':<9} NAME\n"
            f"{WEB:>36} {f'/vz/root/{WEB}':<32} {WEB:>36} {'web.example.com':<32} running   a b\n"
            f"{'102':>36} {'/vz/root/102':<32} {'-':>36} {'-':<32} stopped   c\n"
        )
        found = parse_output(table.encode())
        assert [(f.root, f.hostname, f.facts.status, f.name) for f in found.values()] == [
            (f"/vz/root/{WEB}", "web.example.com", "running", "a b"),
            ("/vz/root/102", "", "stopped", "c"),
        ]

    def test_columns_that_nobody_needs_cost_no_container(self) -> None:
        table = (
            f"{'UUID':>36} {'STATUS':<9} {'CTID':>36} NAME\n"
            f"{WEB:>36} {'running':<9} {WEB:>36} a b\n"
        )
        assert parse_output(table.encode())[WEB].name == "a b"

    def test_name_servers_before_the_addresses_are_none_of_them(self) -> None:
        table = (
            b"      CTID NAMESERVER      IP_ADDR\n"
            b"       101 192.0.2.53      192.0.2.11 2001:db8::11\n"
            b"       102 192.0.2.53      -\n"
        )
        found = parse_output(table)
        assert found["101"].facts.addresses == ("192.0.2.11", "2001:db8::11")
        assert found["102"].facts.addresses == ()

    def test_what_does_not_keep_to_its_place_is_not_guessed(self) -> None:
        table = (
            b"      CTID NAME                                  NPROC HOSTNAME\n"
            b"       101 a name of many words that is longer than its column          3 web\n"
        )
        found = parse_output(table)["101"]
        assert found.facts.processes in (None, 3)
        assert found.hostname in ("", "web")

    def test_the_root_of_7_stands_left_of_its_header(self) -> None:
        table = (
            b"      CTID ROOT                                 HOSTNAME              "
            b"           NAME\n"
            b"       101 /vz/root/101                     a b.example.com                  c d\n"
        )
        found = parse_output(table)["101"]
        assert (found.root, found.hostname, found.name) == (
            "/vz/root/101",
            "a b.example.com",
            "c d",
        )

    def test_a_decimal_comma(self) -> None:
        table = b"      CTID       LAVERAGE STATUS\n       101 0,08/0,12/10,10 running\n"
        assert parse_output(table)["101"].facts.load == (0.08, 0.12, 10.1)
        document = b'[\n  {\n    "ctid": 101,\n    "laverage": [0,08, 0,12, 10,10],\n'
        document += b'    "uptime": 1843203,250\n  }\n]\n'
        facts = parse_output(document)["101"].facts
        assert (facts.load, facts.uptime_seconds) == ((0.08, 0.12, 10.1), 1843203.25)

    def test_a_row_without_a_container_is_left_out(self) -> None:
        table = b"      CTID STATUS\n       101 running\nWarning: x y\n       102 stopped\n"
        assert statuses(parse_output(table)) == {"101": "running", "102": "stopped"}


class TestBroken:
    def test_an_end_that_is_missing_costs_no_other_container(self) -> None:
        document = (
            b'[\n  {\n    "ctid": 101,\n    "diskspace": {\n      "usage": 4\n    "cpus": 2\n  },'
            b'\n  {\n    "ctid": 102,\n    "ip": [\n      "192.0.2.1"\n  },'
            b'\n  {\n    "ctid": 103\n  }\n]\n'
        )
        found = parse_output(document)
        assert set(found) == {"101", "102", "103"}
        assert (found["101"].facts.disk_used_bytes, found["101"].facts.cpus) == (4096, 2)

    def test_an_unknown_status_is_unknown(self) -> None:
        for output in (
            b'[\n  {\n    "ctid": 101,\n    "status": "hibernated"\n  }\n]\n',
            b"      CTID STATUS\n       101 hibernated\n",
            b"       101         23 hibernated 192.0.2.1       web\n",
        ):
            assert statuses(parse_output(output)) == {"101": "unknown"}

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("case", ["all_json", "all"])
    def test_half_of_it_is_no_answer(self, version: str, case: str) -> None:
        data = CASES[version][case].stdout
        half = data[: len(data) // 2].rstrip(b"\n")
        with pytest.raises(Unusable):
            parse_output(half)

    def test_json_that_is_cut_anywhere_is_no_answer(self) -> None:
        data = CASES["7.0.254"]["json_cols"].stdout
        for length in range(1, len(data) - 2, 7):
            with pytest.raises((CutShort, NotAList)):
                parse_output(data[:length])

    def test_a_name_cannot_pretend_to_be_other_fields(self) -> None:
        name = 'x", "status": "running'
        document = fake_vzlist.document(
            [{"ctid": 101, "hostname": name, "status": "stopped"}], ["ctid", "hostname", "status"]
        )
        json.loads(document)  # it is valid JSON, and says what the name wants
        found = parse_output(document.encode())["101"]
        assert (found.hostname, found.facts.status) == (name, "stopped")

    def test_a_name_cannot_pretend_to_be_another_container(self) -> None:
        name = 'x"}, {"ctid": 666, "status": "running'
        document = fake_vzlist.document([{"ctid": 101, "name": name}], ["ctid", "name"])
        assert set(parse_output(document.encode())) == {"101"}

    @pytest.mark.parametrize(
        "data",
        [
            b"{}",
            b"[1, 2]",
            b'[{"name": "x"}]',
            b"[[[[[[",
            b"[" * 100_000,
            b"[\n[\n[\n",
            b"vzlist: command not found\n",
            b"CTID\nnonsense\n",
            b"<html></html>\n",
            b"\xff\xfe\x00",
            b'[{"ctid": ' + b"9" * 5000 + b"}]",
        ],
    )
    def test_what_is_no_list_is_refused_or_empty(self, data: bytes) -> None:
        with suppress(Unusable):
            assert parse_output(data) == {}

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

    def test_documents_of_other_tools(self) -> None:
        compact = json.dumps(containers_of("4.11.1")).encode()
        pretty = json.dumps(containers_of("4.11.1"), indent=2).encode()
        whole = parse("4.11.1", "all_json")
        assert parse_output(compact) == whole
        assert parse_output(pretty) == whole

    def test_warnings_before_the_document_do_no_harm(self) -> None:
        data = b"Warning: something\n" + CASES["4.11.1"]["all_json"].stdout
        assert parse_output(data) == parse("4.11.1", "all_json")


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


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)
FIELD_NAMES = st.sampled_from(
    [
        "ctid",
        "status",
        "name",
        "smart_name",
        "description",
        "ip",
        "numproc",
        "physpages",
        "diskspace",
        "laverage",
        "uptime",
        "cpulimit",
        "features",
        "layout",
        "onboot",
        "bootorder",
    ]
)
LINES = st.lists(
    st.sampled_from(
        [
            b"[",
            b"]",
            b"[]",
            b"  {",
            b"  },",
            b"  }",
            b'    "ctid": 101,',
            b'    "numproc": {',
            b'      "held": 3,',
            b"    },",
            b'    "ip": [',
            b"    ],",
            b'    "laverage": [1, x],',
            b'    "name": "a"b"c",',
            b"      CTID STATUS    HOSTNAME",
            b"       101 running   x y z",
            b"IP_ADDR               CTID IP_ADDR",
            b"\xff\xff",
        ]
    )
    | st.binary(max_size=30),
    max_size=30,
)


class TestAnything:
    @given(st.binary(max_size=2000))
    def test_bytes(self, data: bytes) -> None:
        self.check(data)

    @given(LINES)
    def test_lines_that_look_right(self, lines: list[bytes]) -> None:
        self.check(b"\n".join(lines) + b"\n")

    @settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.dictionaries(FIELD_NAMES, JSON_VALUES, max_size=5), max_size=2))
    def test_json(self, document: list[dict[str, Any]]) -> None:
        self.check(json.dumps(document).encode())

    def check(self, data: bytes) -> None:
        try:
            found = parse_output(data)
        except VzlistError:
            return
        for ctid, listed in found.items():
            assert listed.ctid == ctid
            for beancounter in listed.facts.beancounters:
                for name in ("held", "maxheld", "barrier", "limit", "failures"):
                    value = getattr(beancounter, name)
                    assert value is None or 0 <= value < 2**63

    @settings(deadline=None, max_examples=20)
    @given(
        st.sampled_from(
            [
                b"[",
                b"]",
                b"{",
                b'"',
                b" ",
                b"\n",
                b"a ",
                b"1 ",
                b"CTID ",
                b"::1 ",
                b'    "a": ',
                b"9",
            ]
        ),
        st.sampled_from([b"", b"[\n  {\n", b"      CTID IP_ADDR\n       101 ", b'[{"ctid": "']),
    )
    def test_long_nonsense_in_bounded_time(self, piece: bytes, start: bytes) -> None:
        before = time.process_time()
        self.check(start + piece * (100_000 // len(piece)) + b"\n")
        assert time.process_time() - before < 5


NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30).filter(
    lambda name: name != "-"
)
PHRASES = st.lists(NAMES, min_size=1, max_size=3).map(" ".join).filter(lambda s: len(s) <= 31)
NUMBERS = st.integers(0, 2**40) | st.just(2**63 - 1)


@st.composite
def printed(draw: st.DrawFn) -> dict[str, Any]:
    """A container that runs, as vzlist might print it."""
    return {
        "ctid": draw(st.integers(1, 2**31 - 1)),
        "status": "running",
        "name": draw(PHRASES),
        "hostname": draw(PHRASES),
        "ip": draw(st.lists(st.ip_addresses().map(str), max_size=3, unique=True)),
        "laverage": [draw(st.integers(0, 99999)) / 100 for _ in range(3)],
        "cpulimit": draw(st.integers(0, 3200)),
        "numproc": {
            "held": draw(st.integers(1, 5000)),
            "maxheld": draw(NUMBERS),
            "barrier": draw(NUMBERS),
            "limit": draw(NUMBERS),
            "failcnt": draw(st.integers(0, 2**62)),
        },
    }


@settings(max_examples=60)
@given(st.lists(printed(), min_size=1, max_size=3, unique_by=lambda c: c["ctid"]), st.data())
def test_table_and_json_say_the_same_of_any_container(
    containers: list[dict[str, Any]], data: st.DataObject
) -> None:
    known = fake_vzlist.columns(data.draw(st.sampled_from([3, 7])))
    columns = ["ctid", "status", "name", "hostname", "laverage", "cpulimit"]
    columns += [f"numproc{part}" for part in ("", ".m", ".b", ".l", ".f")]
    order = [*data.draw(st.permutations(columns)), "ip"]
    table = parse_output(fake_vzlist.table(containers, order, known).encode())
    whole = parse_output(fake_vzlist.document(containers, list(containers[0])).encode())
    assert table == whole
