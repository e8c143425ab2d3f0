"""The collector on the nodes of 4.11.1 and 7.0.254: with vzlist, without it, and in between."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from collectors.contract import CollectorError, PartlySeen
from collectors.engines.openvz.collector import OpenvzCollector
from collectors.engines.openvz.merge import FRESH
from collectors.facts import ALIVE, ProcessId, State
from tests.support.openvz_node import (
    BOOT_TIME,
    CONTAINERS,
    FIXTURES,
    NOW,
    STATES,
    STATES_4,
    STATES_7,
    STOPPED,
    UNKNOWN,
    WEB,
    AskedNode,
    FakeVzlist,
    context,
    counter,
    load_cases,
    remove,
    seen,
    states,
)

PAGE = 4096


class TestWithVzlist:
    def test_every_container_and_its_state(self, node: AskedNode) -> None:
        assert states(node.look()) == STATES[node.number]

    def test_names(self, node4: AskedNode) -> None:
        assert {c: s.name for c, s in node4.look().items()} == {
            "101": "web01",
            "102": "mail.example.net",
            "103": "db01",
            "104": "susp.example.com",
            "105": "mounted.example.com",
            "110": "disabled.example.com",
            "777": "redis",
            "999": "999",
            "1000000001": "a-very-long-hostname-that-exceeds-thirty-two-characters."
            "customer-domain.example.org",
        }

    def test_a_sighting_of_4(self, node4: AskedNode) -> None:
        web = node4.look()["101"]
        assert (web.collector, web.engine, web.instance) == ("openvz", "openvz", "")
        assert (web.image, web.hostname) == ("debian-12-x86_64", "web01.example.com")
        assert web.init == ProcessId(4000, 3815679675)
        assert web.boots is True
        assert web.cgroup == "/101"
        assert web.rootfs == "/vz/root/101"
        assert web.started == pytest.approx(NOW - 1843203.25, abs=0.02)
        assert web.created is not None
        facts = web.openvz
        assert facts is not None
        assert (facts.status, facts.as_of) == ("running", NOW)
        assert (facts.uptime_seconds, facts.load) == (1843203.25, (0.08, 0.12, 0.10))
        assert (facts.cpu_seconds, facts.cpu_user_seconds, facts.cpu_system_seconds) == (
            *(180.5, 120.5, 60.0),
        )
        assert facts.cpu_as_of == NOW
        assert counter(web, "physpages").limit == 131072 * PAGE

    def test_a_sighting_of_7(self, node7: AskedNode) -> None:
        web = node7.look()[WEB]
        assert (web.name, web.image) == ("web01", "debian-12-x86_64")
        assert web.init is not None
        assert web.init.pid == 5100  # not the container of the Docker inside
        assert web.cgroup == f"/machine.slice/{WEB}"
        facts = web.openvz
        assert facts is not None
        assert facts.addresses == ("192.0.2.11", "10.0.0.5", "2001:db8::11")
        assert facts.layout == "ploop"
        assert facts.cpu_seconds == pytest.approx(180.500000777)

    def test_what_does_not_run_gets_the_cgroup_that_it_will_have(self, node: AskedNode) -> None:
        found = node.look()
        if node.number == 4:
            assert found["103"].cgroup == "/103"
        else:
            assert found[STOPPED].cgroup == f"/machine.slice/{STOPPED}"

    def test_what_does_not_run_has_no_init_no_root_and_no_start(self, node7: AskedNode) -> None:
        stopped = node7.look()[STOPPED]
        assert (stopped.init, stopped.rootfs, stopped.started) == (None, "", None)
        assert (stopped.name, stopped.boots) == ("db 01", None)

    def test_one_program_in_the_place_of_init(self, node4: AskedNode) -> None:
        redis = node4.look()["777"]
        assert redis.boots is None
        assert redis.init is not None
        assert redis.init.pid == 4200

    def test_a_container_without_configuration(self, node7: AskedNode) -> None:
        unknown = node7.look()[UNKNOWN]
        assert unknown.openvz is not None
        assert (unknown.name, unknown.openvz.status) == (UNKNOWN, "unknown")
        assert unknown.state is State.RUNNING

    def test_a_file_in_the_place_of_the_program(self, bare: AskedNode, tmp_path: Path) -> None:
        version = {4: "4.11.1", 7: "7.0.254"}[bare.number]
        file = tmp_path / "vzlist.json"
        for case in ("all_json", "all", "hostile_all_json"):
            file.write_bytes(load_cases(version)[case].stdout)
            os.utime(file, (NOW - 30, NOW - 30))
            found = bare.look(vzlist_file=str(file))
            assert states(found).items() >= STATES[bare.number].items()
            assert {s.openvz.as_of for s in found.values() if s.openvz} == {NOW - 30}

    def test_hostile_names_lose_no_container(self, bare: AskedNode, tmp_path: Path) -> None:
        version = {4: "4.11.1", 7: "7.0.254"}[bare.number]
        file = tmp_path / "vzlist.json"
        file.write_bytes(load_cases(version)["hostile_all_json"].stdout)
        found = bare.look(vzlist_file=str(file))
        assert len(found) == {4: 13, 7: 10}[bare.number]


class TestWithoutVzlist:
    def test_every_container_and_its_state(self, bare: AskedNode) -> None:
        # 7's container without configuration is seen to run.
        assert states(bare.look()) == STATES[bare.number]

    def test_names_come_from_the_configuration(self, bare: AskedNode) -> None:
        found = bare.look()
        if bare.number == 4:
            names = {c: found[c].name for c in ("101", "102", "103", "777", "999")}
            assert names == {
                "101": "web01",
                "102": "mail.example.net",
                "103": "db01",
                "777": "redis",
                "999": "999",
            }
        else:
            assert (found[WEB].name, found[STOPPED].name) == ("web01", "db 01")

    def test_it_is_measured(self, bare: AskedNode) -> None:
        ctid = {4: "101", 7: WEB}[bare.number]
        web = bare.look()[ctid]
        facts = web.openvz
        assert facts is not None
        assert facts.status == "running"
        assert facts.cpu_seconds == pytest.approx(180.5, abs=0.001)
        assert facts.uptime_seconds == pytest.approx(1843203.25, abs=0.02)
        assert facts.processes == {4: 23, 7: 31}[bare.number]
        assert counter(web, "numproc").held == facts.processes
        assert facts.swap_used_bytes == 1204 * PAGE
        assert web.image == "debian-12-x86_64"
        assert facts.as_of is None, "vzlist has told nothing"
        if bare.number == 4:
            assert facts.disk_used_bytes == 921344 * 1024
            assert facts.addresses == ("192.0.2.11", "192.0.2.111", "2001:db8::11")
            assert facts.cpus == 2
        else:
            assert facts.load == (0.08, 0.10, 0.05)
            assert facts.cpu_limit_ratio == 2.0

    def test_a_configuration_without_private_area_is_no_container(self, bare: AskedNode) -> None:
        assert not {"106", "cccccccc-1111-4222-8333-944455556670"} & set(bare.look())

    def test_an_agent_that_may_not_read_the_kernels_files(self, bare: AskedNode) -> None:
        for name in ("vz/veinfo", "vz/vestat", "user_beancounters"):
            remove(bare.path / "proc" / name)
        remove(bare.path / "proc" / "bc")
        (bare.path / "proc" / "bc").mkdir()
        # envID in /proc/<pid>/status is for everyone to read.
        found = bare.look()
        running = {c for c, state in STATES[bare.number].items() if state is State.RUNNING}
        assert running <= set(found)
        assert all(found[c].state is State.RUNNING for c in running)

    def test_a_kernel_with_nothing_running(self, bare: AskedNode) -> None:
        (bare.path / "proc/vz/veinfo").write_text("         0     0   141\n")
        for name in (bare.path / "proc").iterdir():
            if name.name.isdigit() and int(name.name) > 2000:
                remove(name)
        found = bare.look()
        assert State.RUNNING not in states(found).values()
        assert len(found) >= 4


class TestChanges:
    def test_the_kernel_knows_better_than_an_old_answer(self, node4: AskedNode) -> None:
        node4.look()
        assert node4.fake is not None
        node4.fake.change(fault="exit 1")
        veinfo = node4.path / "proc/vz/veinfo"
        veinfo.write_text(
            veinfo.read_text().replace("       102     2    58      192.0.2.12\n", "")
        )
        for pid in range(4100, 4104):
            remove(node4.path / "proc" / str(pid))
        remove(node4.path / "proc" / "mounts")
        with veinfo.open("a") as file:
            file.write("       103     0     7      192.0.2.13\n")
        found = node4.look(now=NOW + 10)
        assert found["102"].state is State.EXITED
        assert found["103"].state is State.RUNNING
        facts = found["102"].openvz
        assert facts is not None
        assert (facts.load, facts.uptime_seconds, facts.processes) == (None, None, None)
        assert all(b.failures is None for b in facts.beancounters)
        assert facts.as_of == NOW

    def test_a_container_that_was_destroyed_goes(self, node4: AskedNode) -> None:
        node4.look()
        path = node4.path / "etc/vz/conf/103.conf"
        path.rename(path.with_suffix(".conf.destroyed"))
        os.utime(path.parent, (NOW + 5, NOW + 5))
        assert "103" not in node4.look(now=NOW + 10)

    def test_the_last_good_answer_is_kept_with_its_age(self, node: AskedNode) -> None:
        before = node.look()
        assert node.fake is not None
        for fault in ("exit 1", "nothing", "half"):
            node.fake.install(fault=fault)
            found = node.look(now=NOW + 10_000)
            assert states(found) == states(before)
            assert {s.openvz.as_of for s in found.values() if s.openvz} == {NOW}
            assert {c: s.name for c, s in found.items()} == {c: s.name for c, s in before.items()}

    def test_a_stale_answer_is_completed_by_the_kernel(self, node7: AskedNode) -> None:
        fresh = node7.look()[WEB].openvz
        assert node7.fake is not None
        node7.fake.install(fault="exit 1")
        stale = node7.look(now=NOW + FRESH + 1)[WEB].openvz
        assert fresh is not None
        assert stale is not None
        assert (fresh.load, stale.load) == ((0.08, 0.12, 0.10), (0.08, 0.10, 0.05))
        assert stale.uptime_seconds == pytest.approx(1843203.25 + FRESH + 1, abs=0.1)
        assert stale.disk_used_bytes == fresh.disk_used_bytes

    def test_a_program_that_was_replaced_is_asked_anew(self, node4: AskedNode) -> None:
        assert "101" in node4.look()
        assert node4.fake is not None
        changed = [{**c, "ostemplate": "new"} for c in CONTAINERS[4]]
        node4.fake.install(containers=changed)
        node4.look(now=NOW + 1)
        node4.collector._source._background.wait(60)  # type: ignore[union-attr]
        assert node4.look(now=NOW + 2)["101"].image == "new"

    def test_what_was_stopped_has_no_start_any_more(self, bare: AskedNode, tmp_path: Path) -> None:
        for name in ("proc/vz", "proc/bc", "etc"):
            remove(bare.path / name)
        file = tmp_path / "out"
        file.write_text('[{"ctid": 5, "status": "running", "uptime": 60.0}]')
        os.utime(file, (NOW, NOW))
        assert bare.look(vzlist_file=str(file))["5"].started == NOW - 60
        file.write_text('[{"ctid": 5, "status": "stopped"}]')
        assert bare.look(now=NOW + 60, vzlist_file=str(file))["5"].started is None

    def test_a_start_time_that_is_worked_out_stays_as_it_is(self, bare: AskedNode) -> None:
        for name in (bare.path / "proc").iterdir():
            if name.name.isdigit() and int(name.name) > 2000:
                remove(name)
        ctid = {4: "101", 7: WEB}[bare.number]
        first = bare.look()[ctid].started
        second = bare.look(now=NOW + 1.5)[ctid].started
        assert first == second


class TestWhereThereIsNoNode:
    def host_without(self, tmp_path: Path) -> Path:
        (tmp_path / "proc").mkdir()
        (tmp_path / "sys").mkdir()
        return tmp_path

    def test_any_other_host(self, tmp_path: Path) -> None:
        assert OpenvzCollector().collect(context(self.host_without(tmp_path))) == []

    def test_configuration_that_was_left_behind(self, bare: AskedNode) -> None:
        for name in ("vz", "bc"):
            remove(bare.path / "proc" / name)
        for path in (bare.path / "proc").iterdir():
            if path.name.isdigit():
                remove(path)
        assert bare.look() == {}

    def test_inside_a_container(self, tmp_path: Path) -> None:
        top = self.host_without(tmp_path)
        (top / "proc/vz").mkdir()
        (top / "proc/vz/veinfo").write_text("       101     0    23      192.0.2.1\n")
        fake = FakeVzlist(tmp_path, 4, CONTAINERS[4])
        collector = OpenvzCollector()
        found = collector.collect(context(top, environment={"PATH": str(fake.path.parent)}))
        assert found == []
        assert fake.calls() == []

    def test_vzlist_in_the_path_is_found(self, tmp_path: Path) -> None:
        top = self.host_without(tmp_path)
        fake = FakeVzlist(tmp_path, 4, CONTAINERS[4])
        collector = OpenvzCollector()
        found = collector.collect(context(top, environment={"PATH": str(fake.path.parent)}))
        assert len(found) == 9
        collector.close()

    def test_a_promised_vzlist_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        top = self.host_without(tmp_path)
        collector = OpenvzCollector()
        with pytest.raises(CollectorError, match="not there"):
            collector.collect(context(top, vzlist_command=(str(tmp_path / "vzlist"),)))
        with pytest.raises(CollectorError, match="No such file"):
            collector.collect(context(top, vzlist_file=str(tmp_path / "vzlist.json")))

    def test_a_vzlist_that_fails_is_counted(self, tmp_path: Path) -> None:
        node = AskedNode(tmp_path, 4)
        assert node.fake is not None
        node.fake.install(fault="exit 1")
        ctx = node.context()
        with pytest.raises(PartlySeen, match="root") as raised:
            node.collector.collect(ctx)
        found = raised.value.sightings
        assert {s.engine_id for s in found} == set(STATES_4)
        assert ctx.host.tally.malformed["vzlist"] == 1
        assert "root" in node.collector.problem


def test_a_hung_vzlist_costs_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.engines.openvz.vzlist.sources.FIRST_WAIT", 0.2)
    node = AskedNode(tmp_path, 7)
    assert node.fake is not None
    node.fake.install(fault="hang")
    before = psutil.Process().children()  # daemons of other tests, in a run of all
    for later in (0, 1):
        with pytest.raises(PartlySeen, match="has not answered yet") as raised:
            node.collector.collect(node.context(now=NOW + later))
        found = {s.engine_id: s for s in raised.value.sightings}
        assert states(found) == STATES_7
        assert {s.openvz.as_of for s in found.values() if s.openvz} == {None}
    node.collector.close()
    assert set(psutil.Process().children()) <= set(before)


def test_an_environment_that_changes_nothing_asks_nobody_anew(node4: AskedNode) -> None:
    node4.look()
    assert node4.fake is not None
    before = len(node4.fake.calls())
    node4.look(now=NOW + 1)
    assert len(node4.fake.calls()) == before


@pytest.mark.parametrize("number", [4, 7])
@pytest.mark.parametrize("fate", ["gone", "nonsense", "a fifo"])
def test_no_file_of_a_node_costs_more_than_what_it_says(
    tmp_path: Path, number: int, fate: str
) -> None:
    node = AskedNode(tmp_path, number, vzlist=False)
    alive = {c for c, state in STATES[number].items() if state in ALIVE}
    processes = re.compile(r"proc/\d+/")
    for name in json.loads((FIXTURES / f"node-{number}.json").read_text()):
        path = node.path / name
        if processes.match(name) or not path.is_file() or path.is_symlink():
            continue
        before = path.read_bytes()
        path.unlink()
        if fate == "nonsense":
            path.write_bytes(b"\xff\x00 9999999999999999999999 :: -1\n" * 50)
        elif fate == "a fifo":
            os.mkfifo(path)
        found = {s.engine_id for s in seen(OpenvzCollector(), node.context())}
        assert alive <= found, name
        path.unlink(missing_ok=True)
        path.write_bytes(before)


class TestQuietPasses:
    def test_numbers_are_good_for_a_while(self, bare: AskedNode) -> None:
        first = bare.look()
        second = bare.look(now=NOW + 5, full=False)
        assert all(second[c] is sighting for c, sighting in first.items())
        ctid = {4: "101", 7: WEB}[bare.number]
        third = bare.look(now=NOW + 15, full=False)[ctid].openvz
        assert third is not None
        assert third.cpu_as_of == NOW + 15

    def test_what_stops_is_seen_at_once(self, node4: AskedNode) -> None:
        node4.look()
        veinfo = node4.path / "proc/vz/veinfo"
        rows = veinfo.read_text().splitlines(keepends=True)
        veinfo.write_text("".join(row for row in rows if row.split()[0] != "777"))
        remove(node4.path / "proc/4200")
        assert node4.look(now=NOW + 5, full=False)["777"].state is not State.RUNNING

    def test_a_failure_is_no_good_for_a_while(self, tmp_path: Path) -> None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "sys").mkdir()
        collector = OpenvzCollector()
        for now in (NOW, NOW + 5):
            ctx = context(tmp_path, now=now, full=False, vzlist_file=str(tmp_path / "none"))
            with pytest.raises(CollectorError):
                collector.collect(ctx)


def test_a_light_pass_sees_what_starts(bare: AskedNode) -> None:
    bare.look()
    veinfo = bare.path / "proc/vz/veinfo"
    with veinfo.open("a") as file:
        file.write("       120     0     7\n")
    light = replace(bare.context(now=NOW + 1), full=False)
    assert "120" in {s.engine_id for s in bare.collector.collect(light)}
    assert BOOT_TIME < NOW
