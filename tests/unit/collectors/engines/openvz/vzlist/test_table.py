from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.engines.openvz.vzlist.output import parse_output
from tests.support import fake_vzlist
from tests.support.openvz_node import STOPPED, VERSIONS, WEB
from tests.support.vzlist_output import counter, parse, statuses


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
