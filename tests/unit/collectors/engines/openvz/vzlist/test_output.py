"""Every captured output of the real vzlist 4.11.1 and 7.0.254, and broken ones."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.engines.openvz.vzlist.errors import EmptyOutput, NotAList, Unusable, VzlistError
from collectors.engines.openvz.vzlist.output import parse_output
from tests.support.openvz_node import VERSIONS
from tests.support.vzlist_output import CASES, HOSTILE, STATUSES, parse, statuses


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


class TestBroken:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("case", ["all_json", "all"])
    def test_half_of_it_is_no_answer(self, version: str, case: str) -> None:
        data = CASES[version][case].stdout
        half = data[: len(data) // 2].rstrip(b"\n")
        with pytest.raises(Unusable):
            parse_output(half)

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
