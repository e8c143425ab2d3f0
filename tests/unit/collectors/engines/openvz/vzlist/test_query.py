"""Asking vzlist: what it is called with, and what becomes of it when it misbehaves."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from collectors.engines.openvz.vzlist import program as program_module
from collectors.engines.openvz.vzlist.background import (
    INTERVAL,
    LONGEST_PAUSE,
    Background,
    Schedule,
)
from collectors.engines.openvz.vzlist.errors import (
    EmptyOutput,
    Failed,
    NotRunnable,
    TimedOut,
    TooLarge,
    Unusable,
    VzlistError,
)
from collectors.engines.openvz.vzlist.output import parse_output
from collectors.engines.openvz.vzlist.program import Program
from collectors.engines.openvz.vzlist.query import Vzlist
from tests.support import CLONE, fake_vzlist
from tests.support.openvz_node import FakeVzlist, containers_of, ends, load_cases

if TYPE_CHECKING:
    from collectors.engines.openvz.vzlist.fields import Listed

CONTAINERS = {3: containers_of("4.11.1"), 4: containers_of("4.11.1"), 7: containers_of("7.0.254")}
ALL = {version: {str(c["ctid"]) for c in found} for version, found in CONTAINERS.items()}
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
NEVER = threading.Event()
PAGE = 4096


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., FakeVzlist]:
    return lambda version: FakeVzlist(tmp_path, version, CONTAINERS[version])


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


def vzlist_of(fake: FakeVzlist) -> Vzlist:
    return Vzlist(Program((str(fake.path),), {"PATH": "/nonexistent"}))


def ask(vzlist: Vzlist, timeout: float = 60.0) -> dict[str, Listed]:
    return vzlist.containers(timeout, NEVER)


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


class TestFaults:
    def test_runs_without_shell_and_with_a_small_environment(
        self, fake: Callable[..., FakeVzlist], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET", "x")
        vzlist = fake(4)
        ask(vzlist_of(vzlist))
        (environment,) = vzlist.environments()
        assert environment["LC_ALL"] == "C"
        assert set(environment) <= {"LC_ALL", "PATH", "LC_CTYPE", "PWD", "SHLVL", "_"}

    def test_it_hangs(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.install(fault="hang")
        with pytest.raises(TimedOut):
            ask(vzlist_of(vzlist), 0.5)
        assert len(vzlist.calls()) <= 1

    def test_nobody_waits_any_more(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.install(fault="hang")
        stop = threading.Event()
        stop.set()
        with pytest.raises(TimedOut):
            vzlist_of(vzlist).containers(60.0, stop)

    def test_it_closes_its_output_and_hangs(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.install(fault="close and stay")
        with pytest.raises(TimedOut):
            ask(vzlist_of(vzlist), 1.0)

    def test_it_ends_and_a_child_keeps_its_output_open(
        self, fake: Callable[..., FakeVzlist]
    ) -> None:
        vzlist = fake(4)
        vzlist.install(fault="grandchild")
        assert set(ask(vzlist_of(vzlist))) == ALL[4]
        assert ends(vzlist.child())

    def test_it_prints_nothing(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.install(fault="nothing")
        with pytest.raises(EmptyOutput, match="/proc/fairsched"):
            ask(vzlist_of(vzlist))

    def test_it_fails(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.install(fault="exit 1")
        with pytest.raises(Failed, match="exit status 1: This program can only be run under root"):
            ask(vzlist_of(vzlist))

    def test_it_prints_half(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.install(fault="half")
        with pytest.raises(Unusable):
            ask(vzlist_of(vzlist))

    def test_it_prints_without_an_end(
        self, fake: Callable[..., FakeVzlist], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(program_module, "OUTPUT_LIMIT", 1 << 20)
        vzlist = fake(4)
        vzlist.install(fault="flood")
        with pytest.raises(TooLarge):
            ask(vzlist_of(vzlist))

    def test_it_prints_10000_containers(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        small = {k: CONTAINERS[4][0][k] for k in ("status", "hostname", "numproc", "ip")}
        containers = [{**small, "ctid": 1000 + n} for n in range(10_000)]
        vzlist.install(containers=containers, fields=[*small, "ctid"])
        found = ask(vzlist_of(vzlist))
        assert len(found) == 10_000
        assert found["10999"].facts.processes == 23

    def test_it_is_not_executable(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.path.chmod(0o644)
        with pytest.raises(NotRunnable):
            ask(vzlist_of(vzlist))

    def test_it_is_no_program(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        vzlist.path.write_bytes(b"\x7fELF nonsense")
        with pytest.raises(NotRunnable):
            ask(vzlist_of(vzlist))

    def test_it_is_not_there(self, tmp_path: Path) -> None:
        program = Program((str(tmp_path / "vzlist"),), {})
        assert program.identity() is None
        with pytest.raises(NotRunnable):
            ask(Vzlist(program))

    def test_text_on_stderr_is_no_failure(self, tmp_path: Path) -> None:
        path = script(tmp_path, "import sys\nsys.stderr.write('x' * 300000)\nprint('[]')")
        assert ask(Vzlist(Program((str(path),), {}))) == {}

    @pytest.mark.parametrize("status", [0, 1])
    def test_no_containers_in_a_table_is_said_on_stderr(self, tmp_path: Path, status: int) -> None:
        path = script(
            tmp_path,
            "import sys\n"
            "if '-j' in sys.argv: sys.exit(\"invalid option -- 'j'\")\n"
            "sys.stderr.write('Warning: x\\nContainer(s) not found\\n')\n"
            f"sys.exit({status})",
        )
        assert ask(Vzlist(Program((str(path),), {}))) == {}

    def test_nothing_is_left_open_or_running(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        asker = vzlist_of(vzlist)
        ask(asker)
        gc.collect()  # or it may close in between what other tests have left
        before = len(os.listdir("/proc/self/fd"))
        children = psutil.Process().children()
        for fault in ("half", "exit 1", "nothing", None, "grandchild"):
            vzlist.change(fault=fault)
            try:
                ask(asker)
            except VzlistError:
                continue
        assert len(os.listdir("/proc/self/fd")) <= before
        assert set(psutil.Process().children()) <= set(children)

    def test_it_does_not_outlive_an_agent_that_is_killed(
        self, fake: Callable[..., FakeVzlist]
    ) -> None:
        vzlist = fake(4)
        vzlist.install(fault="hang and tell")
        agent = (
            "import sys, threading\n"
            "from collectors.engines.openvz.vzlist.program import Program\n"
            "Program(sys.argv[1:], {}).run((), 60.0, threading.Event())\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", agent, str(vzlist.path)], cwd=CLONE
        ) as process:
            hung = vzlist.wait_for_child()
            process.kill()
        assert ends(hung)

    def test_a_command_with_arguments(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        command = (sys.executable, "-IS", str(vzlist.path))
        assert set(ask(Vzlist(Program(command, {})))) == ALL[4]

    def test_it_is_found_in_the_path(self, fake: Callable[..., FakeVzlist]) -> None:
        vzlist = fake(4)
        program = Program(("vzlist",), {"PATH": str(vzlist.path.parent)})
        assert program.path() == str(vzlist.path)


def script(directory: Path, text: str) -> Path:
    path = directory / "script"
    path.write_text(f"#!{sys.executable} -IS\n{text}\n")
    path.chmod(0o755)
    return path


class TestSchedule:
    def test_the_first_run_is_due(self) -> None:
        assert Schedule().due(0.0, hurry=False)

    def test_after_an_answer_comes_a_pause(self) -> None:
        schedule = Schedule()
        schedule.succeeded(100.0, 0.1)
        assert not schedule.due(100.0 + INTERVAL - 1, hurry=False)
        assert schedule.due(100.0 + INTERVAL, hurry=False)

    def test_a_hurry_makes_it_shorter_and_not_none(self) -> None:
        schedule = Schedule()
        schedule.succeeded(100.0, 0.1)
        assert not schedule.due(101.0, hurry=True)
        assert schedule.due(110.0, hurry=True)

    def test_a_slow_vzlist_is_run_less_often(self) -> None:
        schedule = Schedule()
        schedule.succeeded(1000.0, 150.0)
        assert not schedule.due(1000.0 + INTERVAL, hurry=False)
        assert not schedule.due(1000.0 + INTERVAL, hurry=True)
        assert schedule.due(1000.0 + 5 * 150.0, hurry=False)

    def test_failures_make_it_back_off_up_to_a_limit(self) -> None:
        schedule = Schedule()
        now, pauses = 0.0, []
        for _ in range(12):
            schedule.failed(now, 1.0)
            pause = next(p for p in range(10_000) if schedule.due(now + p, hurry=True))
            pauses.append(pause)
            now += pause
        assert pauses[:4] == [60, 120, 240, 480]
        assert max(pauses) == LONGEST_PAUSE

    def test_an_answer_ends_the_backing_off(self) -> None:
        schedule = Schedule()
        schedule.failed(0.0, 1.0)
        schedule.failed(60.0, 1.0)
        schedule.succeeded(180.0, 1.0)
        schedule.failed(240.0, 1.0)
        assert schedule.due(300.0, hurry=False)

    def test_another_program_is_tried_at_once(self) -> None:
        schedule = Schedule()
        schedule.failed(0.0, 1.0)
        schedule.reset()
        assert schedule.due(0.0, hurry=False)


class TestBackground:
    def test_the_last_good_answer_stays(self) -> None:
        answers: list[Any] = [{"101": None}, EmptyOutput("vzlist printed nothing"), {}]
        clock = Clock()
        background = Background(lambda *_: give(answers.pop(0)), lambda: 1, clock)
        self.run(background, 1000.0)
        assert background.answer is not None
        assert (set(background.answer.containers), background.answer.as_of) == ({"101"}, 1000.0)
        clock.now += INTERVAL
        self.run(background, 1060.0)
        assert (background.answer.as_of, background.failures) == (1000.0, 1)
        assert background.problem == "vzlist printed nothing"
        clock.now += INTERVAL
        self.run(background, 1120.0)
        assert (background.answer.as_of, background.problem) == (1120.0, "")

    def test_it_is_not_run_twice_at_once_nor_too_often(self) -> None:
        go, runs = threading.Event(), []

        def ask(*_: object) -> dict[str, Listed]:
            runs.append(1)
            go.wait(60)
            return {}

        background = Background(ask, lambda: 1, Clock())
        assert self.start(background)
        assert not self.start(background)
        go.set()
        background.wait(60)
        assert not self.start(background)
        assert runs == [1]

    def test_another_program_is_run_at_once(self) -> None:
        identity = [1]
        background = Background(lambda *_: {}, lambda: identity[0], Clock())
        assert self.start(background)
        background.wait(60)
        assert not self.start(background)
        identity[0] = 2
        assert self.start(background)
        background.wait(60)

    def test_who_waits_is_told(self) -> None:
        told = threading.Event()
        background = Background(lambda *_: {}, lambda: 1, Clock())
        background.refresh(1.0, containers=0, hurry=False, done=told.set)
        assert told.wait(60)

    def test_each_container_may_take_its_time(self) -> None:
        timeouts: list[float] = []

        def ask(timeout: float, _: threading.Event) -> dict[str, Listed]:
            timeouts.append(timeout)
            return {}

        background = Background(ask, lambda: 1, Clock())
        background.refresh(1.0, containers=200, hurry=False, done=lambda: None)
        background.wait(60)
        assert timeouts == [130.0]

    def test_closing_ends_what_runs(self) -> None:
        ended = threading.Event()

        def ask(_: float, stop: threading.Event) -> dict[str, Listed]:
            stop.wait(60)
            ended.set()
            raise TimedOut("stopped")

        background = Background(ask, lambda: 1, Clock())
        self.start(background)
        background.close()
        assert ended.is_set()
        assert not self.start(background)

    def start(self, background: Background) -> bool:
        return background.refresh(1.0, containers=0, hurry=False, done=lambda: None)

    def run(self, background: Background, now: float) -> None:
        assert background.refresh(now, containers=0, hurry=False, done=lambda: None)
        background.wait(60)


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def give(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer
