from __future__ import annotations

import os
from pathlib import Path

from tests.support.openvz_node import NOW, STATES, AskedNode, load_cases, states


class TestFiles:
    def test_a_bad_file_leaves_the_last_answer(self, bare: AskedNode, tmp_path: Path) -> None:
        version = {4: "4.11.1", 7: "7.0.254"}[bare.number]
        file = tmp_path / "out"
        data = load_cases(version)["all_json"].stdout
        file.write_bytes(data)
        os.utime(file, (NOW - 5, NOW - 5))
        bare.look(vzlist_file=str(file))
        file.write_bytes(data[: len(data) // 2])
        found = bare.look(now=NOW + 60, vzlist_file=str(file))
        assert states(found) == STATES[bare.number]
        assert {s.openvz.as_of for s in found.values() if s.openvz} == {NOW - 5}
        assert str(file) in bare.collector.problem

    def test_a_fifo_does_not_block(self, bare: AskedNode, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "out")
        found = bare.look(vzlist_file=str(tmp_path / "out"))
        assert states(found) == STATES[bare.number]

    def test_another_choice_takes_effect(self, node4: AskedNode, tmp_path: Path) -> None:
        node4.look()
        file = tmp_path / "out"
        file.write_text('[{"ctid": 5, "status": "stopped"}]')
        found = node4.look(vzlist_file=str(file))
        assert "5" in found
