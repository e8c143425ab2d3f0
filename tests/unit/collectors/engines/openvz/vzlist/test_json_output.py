from __future__ import annotations

import json

import pytest

from collectors.engines.openvz.vzlist.errors import CutShort, NotAList
from collectors.engines.openvz.vzlist.output import parse_output
from tests.support import fake_vzlist
from tests.support.openvz_node import containers_of
from tests.support.vzlist_output import CASES, parse


class TestDocuments:
    def test_an_end_that_is_missing_costs_no_other_container(self) -> None:
        document = (
            b'[\n  {\n    "ctid": 101,\n    "diskspace": {\n      "usage": 4\n    "cpus": 2\n  },'
            b'\n  {\n    "ctid": 102,\n    "ip": [\n      "192.0.2.1"\n  },'
            b'\n  {\n    "ctid": 103\n  }\n]\n'
        )
        found = parse_output(document)
        assert set(found) == {"101", "102", "103"}
        assert (found["101"].facts.disk_used_bytes, found["101"].facts.cpus) == (4096, 2)

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

    def test_documents_of_other_tools(self) -> None:
        compact = json.dumps(containers_of("4.11.1")).encode()
        pretty = json.dumps(containers_of("4.11.1"), indent=2).encode()
        whole = parse("4.11.1", "all_json")
        assert parse_output(compact) == whole
        assert parse_output(pretty) == whole

    def test_warnings_before_the_document_do_no_harm(self) -> None:
        data = b"Warning: something\n" + CASES["4.11.1"]["all_json"].stdout
        assert parse_output(data) == parse("4.11.1", "all_json")
