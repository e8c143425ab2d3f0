from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collectors.engines.openvz.vzlist.errors import VzlistError
from collectors.engines.openvz.vzlist.output import parse_output
from collectors.engines.openvz.vzlist.program import Program
from collectors.engines.openvz.vzlist.query import Vzlist
from tests.support import fake_vzlist
from tests.support.openvz_node import FakeVzlist, containers_of, load_cases
from tests.support.vzlist_program import ALL, CONTAINERS, ask, script, vzlist_of

_COUNTERS = [f"{n}{part}" for n in fake_vzlist.COUNTERS for part in ("", ".m", ".b", ".l", ".f")]
_QUOTAS = [f"{name}{part}" for name in fake_vzlist.QUOTAS for part in ("", ".s", ".h")]
# As field_names[] of src/vzlist.c has them, without those that nobody asks for: vzctl 3.0.2x of
# 2010, of 2012 (4.0), with what its changelog says that 4.6 added, and OpenVZ 7's vzctl before and
# since it has JSON.
FIELDS_OF_3 = [
    *("ctid", "veid", "vpsid", "hostname", "name", "description", "ostemplate", "ip", "status"),
    *_COUNTERS, *_QUOTAS,
    *("laverage", "uptime", "cpulimit", "cpuunits", "ioprio", "onboot", "bootorder"),
]  # fmt: skip
FIELDS_OF_4_0 = [
    *FIELDS_OF_3,
    *("private", "root", "smart_name", "nameserver", "searchdomain", "cpus", "layout"),
    *("features", "vswap", "disabled"),
]
FIELDS_OF_4_9 = [*FIELDS_OF_4_0, "vm_overcommit", "iolimit", "iopslimit"]
FIELDS_OF_7 = [f for f in FIELDS_OF_4_9 if f not in ("vpsid", "vswap", "vm_overcommit")]
FIELDS_OF_7 += ["uuid", "tm", "configured_ip", "autostop", "ha_enable", "netfilter"]
PAGE = 4096


def rounded_down(container: dict[str, Any]) -> dict[str, Any]:
    """The same container as Virtuozzo 9 writes it, where nothing is larger than whole pages."""
    none = 2**63 - PAGE
    found: dict[str, Any] = {}
    for name, value in container.items():
        if name in fake_vzlist.COUNTERS and value is not None:
            unlimited = none // PAGE if name.endswith("pages") else none
            found[name] = {k: unlimited if v == 2**63 - 1 else v for k, v in value.items()}
        else:
            found[name] = value
    return found


class TestVersions:
    @pytest.mark.parametrize("version", [4, 7])
    def test_json_with_named_fields_and_no_description(
        self, fake: Callable[..., FakeVzlist], version: int
    ) -> None:
        vzlist = fake(version)
        assert set(ask(vzlist_of(vzlist))) == ALL[version]
        (call,) = vzlist.calls()
        assert call[:3] == ["-a", "-j", "-o"]
        fields = call[3].split(",")
        assert "description" not in fields
        assert "status" in fields  # 7 does not find out the status unless asked
        assert fields.count("ip") == 1
        assert len(set(fields)) == len(fields)

    @pytest.mark.parametrize("version", [4, 7])
    def test_json_says_what_the_captured_document_says(
        self, fake: Callable[..., FakeVzlist], version: int
    ) -> None:
        captured = parse_output(load_cases({4: "4.11.1", 7: "7.0.254"}[version])["all_json"].stdout)
        for ctid, listed in ask(vzlist_of(fake(version))).items():
            expected = captured[ctid]
            # They are in the order in which they were asked for.
            assert set(listed.facts.beancounters) == set(expected.facts.beancounters)
            facts = replace(listed.facts, beancounters=expected.facts.beancounters)
            assert replace(listed, facts=facts) == expected

    def test_3_has_the_table_alone(self, fake: Callable[..., FakeVzlist]) -> None:
        old = fake(3)
        old.install(fields=FIELDS_OF_3)
        vzlist = vzlist_of(old)
        found = ask(vzlist)
        assert set(found) == ALL[3]
        web = found["101"]
        assert (web.name, web.hostname) == ("web01", "web01.example.com")
        assert web.facts.addresses == ("192.0.2.11", "192.0.2.111", "2001:db8::11")
        assert web.facts.load == (0.08, 0.12, 0.10)
        assert web.facts.processes == 23
        assert {b.resource for b in web.facts.beancounters} == set(fake_vzlist.COUNTERS)
        assert found["1000000001"].hostname.endswith(".customer-domain.example.org")

    @pytest.mark.parametrize(
        ("version", "speaks", "fields"),
        [
            ("3.0.30", 3, FIELDS_OF_3),
            ("4.0", 4, FIELDS_OF_4_0),
            ("4.9.4", 4, FIELDS_OF_4_9),
            ("7.0.0", 3, FIELDS_OF_7),
            ("9.0.1", 7, FIELDS_OF_7),
        ],
    )
    def test_each_version_tells_what_it_knows(
        self, fake: Callable[..., FakeVzlist], version: str, speaks: int, fields: list[str]
    ) -> None:
        captured = "7.0.254" if version in ("7.0.0", "9.0.1") else "4.11.1"
        containers = containers_of(captured)
        if version == "9.0.1":
            containers = [rounded_down(c) for c in containers]
        vzlist = fake(speaks)
        vzlist.install(containers=containers, fields=fields, wide=captured == "7.0.254")
        found = ask(vzlist_of(vzlist))
        whole = parse_output(load_cases(captured)["all_json"].stdout)
        assert set(found) == set(whole)
        for ctid, listed in found.items():
            expected = whole[ctid]
            facts, other = listed.facts, expected.facts
            assert (listed.name, listed.hostname) == (expected.name, expected.hostname)
            assert (facts.status, facts.ostemplate) == (other.status, other.ostemplate)
            assert (facts.addresses, facts.load) == (other.addresses, other.load)
            assert facts.disk_hard_bytes == other.disk_hard_bytes
            assert facts.cpu_limit_ratio == other.cpu_limit_ratio
            assert listed.counted == expected.counted
            known = {b.resource: b for b in other.beancounters}
            for b in facts.beancounters:
                if listed.counted or b.limit is not None:
                    assert b == known[b.resource]

    def test_what_works_is_found_out_once(self, fake: Callable[..., FakeVzlist]) -> None:
        old = fake(3)
        old.install(fields=FIELDS_OF_3)
        vzlist = vzlist_of(old)
        ask(vzlist)
        before = len(old.calls())
        ask(vzlist)
        again = old.calls()[before:]
        assert len(again) == 3  # facts, names, hostnames
        assert [call[-1].split(",")[-1] for call in again] == ["ip", "name", "hostname"]
        assert all("-j" not in call for call in again)

    def test_the_table_says_what_the_json_says(self, fake: Callable[..., FakeVzlist]) -> None:
        table, document = fake(3), CONTAINERS[4]
        for ctid, listed in ask(vzlist_of(table)).items():
            whole = parse_output(load_cases("4.11.1")["all_json"].stdout)[ctid]
            assert (listed.name, listed.hostname) == (whole.name, whole.hostname)
            assert listed.facts.addresses == whole.facts.addresses
            assert listed.facts.disk_used_bytes == whole.facts.disk_used_bytes
            if listed.counted:
                assert listed.facts.beancounters == whole.facts.beancounters
        assert len(document) == 9

    def test_fields_that_it_does_not_know_are_left_out(
        self, fake: Callable[..., FakeVzlist]
    ) -> None:
        fields = {"ctid", "status", "name", "numproc", "ip", "uptime", "private"}
        vzlist = fake(4)
        vzlist.install(fields=sorted(fields))
        asker = vzlist_of(vzlist)
        assert set(ask(asker)) == ALL[4]
        assert [call[0] for call in vzlist.calls()] == ["-a", "-L", "-a"]
        assert set(ask(asker)) == ALL[4]
        assert set(vzlist.calls()[-1][-1].split(",")) == fields

    def test_fields_are_left_out_one_by_one_where_it_cannot_list_them(self, tmp_path: Path) -> None:
        path = script(
            tmp_path,
            "import sys\n"
            "fields = sys.argv[-1].split(',')\n"
            "unknown = [f for f in fields if f not in ('veid', 'status')]\n"
            "if unknown: sys.exit('Unknown field: ' + unknown[0])\n"
            'print(\'[\\n  {\\n    "veid": 101,\\n    "status": "running"\\n  }\\n]\')',
        )
        assert set(ask(Vzlist(Program((str(path),), {})))) == {"101"}

    def test_a_program_that_was_replaced_is_got_to_know_anew(
        self, fake: Callable[..., FakeVzlist]
    ) -> None:
        vzlist = fake(4)
        asker = vzlist_of(vzlist)
        assert set(ask(asker)) == ALL[4]
        vzlist.install(version=3, containers=CONTAINERS[3][:2])
        assert set(ask(asker)) == {"101", "102"}
        vzlist.install(version=7, containers=CONTAINERS[7])
        before = len(vzlist.calls())
        assert set(ask(asker)) == ALL[7]
        assert "-j" in vzlist.calls()[before]

    def test_a_document_that_broke_once_does_not_change_what_is_asked(
        self, fake: Callable[..., FakeVzlist]
    ) -> None:
        vzlist = fake(4)
        asker = vzlist_of(vzlist)
        ask(asker)
        vzlist.change(fault="half")
        with pytest.raises(VzlistError):
            ask(asker)
        vzlist.change(fault=None)
        before = len(vzlist.calls())
        ask(asker)
        assert "-j" in vzlist.calls()[before]
        assert len(vzlist.calls()) == before + 1
