from __future__ import annotations

from dataclasses import replace

from agent.exposition.oom_kills import OomKills
from agent.model import Container
from collectors.facts import ProcessId, State

FIRST, SECOND, THIRD = ProcessId(10, 1), ProcessId(20, 2), ProcessId(30, 3)
RUNNING = Container(
    id="/a", engine="docker", state=State.RUNNING, init=FIRST, started=1.0, restarts=0
)
EXITED = replace(RUNNING, state=State.EXITED, init=None, exit_code=137)
AGAIN = replace(RUNNING, init=SECOND, started=2.0, restarts=1)


def test_the_last_reading_of_a_life_is_kept_over_a_restart() -> None:
    kills = OomKills(RUNNING)
    assert kills.read(FIRST, b"2") == 2
    kills.follow(EXITED)
    assert kills.total == 2
    kills.follow(AGAIN)
    assert kills.read(SECOND, b"0") == 2
    assert kills.read(SECOND, b"1") == 3


def test_the_kill_that_ended_a_container_is_told_by_how_it_ended() -> None:
    kills = OomKills(RUNNING)
    assert kills.read(FIRST, b"0") == 0
    kills.follow(replace(EXITED, oom_killed=True))
    assert kills.total == 1
    kills.follow(replace(AGAIN, oom_killed=True))
    assert kills.read(SECOND, b"0") == 1, "Docker goes on saying so of the life before"
    kills.follow(replace(EXITED, started=2.0, restarts=1, exit_code=0, oom_killed=False))
    assert kills.total == 1


def test_a_restart_that_nobody_saw_the_end_of_counts_the_kill_once() -> None:
    kills = OomKills(RUNNING)
    kills.follow(replace(AGAIN, oom_killed=True))
    assert kills.total == 1
    kills.follow(replace(AGAIN, init=THIRD, started=3.0, restarts=2, oom_killed=True))
    assert kills.total == 2


def test_an_engine_that_is_late_tells_of_the_life_before() -> None:
    """Its first process has ended; the engine still tells what was true before that."""
    kills = OomKills(replace(RUNNING, oom_killed=True))
    kills.follow(replace(RUNNING, state=State.EXITED, init=None, oom_killed=True))
    assert kills.total == 0
    kills.follow(replace(EXITED, exit_code=0, oom_killed=False))
    assert kills.total == 0


def test_a_life_that_nobody_saw_counts_by_how_it_ended() -> None:
    kills = OomKills(RUNNING)
    kills.follow(replace(EXITED, oom_killed=True))
    kills.follow(replace(EXITED, oom_killed=True))
    assert kills.total == 1
    starts = replace(EXITED, exit_code=None, started=2.0, oom_killed=True)
    kills.follow(starts)
    assert kills.total == 1, "Docker still says so of the life before"
    kills.follow(replace(EXITED, started=2.0, oom_killed=True))
    assert kills.total == 2
    waits = replace(EXITED, state=State.RESTARTING, exit_code=None, started=3.0, oom_killed=True)
    kills.follow(waits)
    assert kills.total == 3
    kills.follow(replace(EXITED, started=4.0, oom_killed=False))
    assert kills.total == 3


def test_one_that_waits_for_its_restart_was_killed() -> None:
    kills = OomKills(RUNNING)
    waits = replace(RUNNING, state=State.RESTARTING, init=None, restarts=1, oom_killed=True)
    kills.follow(waits)
    kills.follow(waits)
    assert kills.total == 1


def test_events_count_where_the_kernel_cannot_be_read_and_nothing_counts_twice() -> None:
    kills = OomKills(replace(RUNNING, oom_events=0))
    assert kills.read(FIRST, b"1") == 1, "a child was killed"
    kills.follow(replace(RUNNING, oom_events=1))
    assert kills.total == 1, "the same kill"
    kills.follow(replace(EXITED, oom_events=2, oom_killed=True))
    assert kills.total == 2, "and one that no scrape saw"
    kills.follow(replace(AGAIN, oom_events=2, oom_killed=True))
    assert kills.read(SECOND, b"0") == 2


def test_events_are_counted_on_when_the_connection_begins_again() -> None:
    kills = OomKills(replace(RUNNING, oom_events=3))
    assert kills.total == 3
    for events in (None, 0, None, 1):
        kills.follow(replace(RUNNING, oom_events=events))
    assert kills.total == 4


def test_what_was_killed_before_it_was_first_seen_was_killed_once() -> None:
    assert OomKills(replace(EXITED, oom_killed=True)).total == 1
    assert OomKills(EXITED).total == 0
    assert OomKills(replace(AGAIN, oom_killed=True)).total == 0, "of a life before"


def test_a_reading_of_the_next_cgroup_under_the_old_process_lowers_nothing() -> None:
    kills = OomKills(RUNNING)
    assert kills.read(FIRST, b"1") == 1
    assert kills.read(FIRST, b"0") == 1
    assert kills.read(SECOND, b"1") == 1, "of a life that the inventory does not know of yet"
    kills.follow(AGAIN)
    assert kills.read(SECOND, b"1") == 2
    assert kills.read(SECOND, None) == 2


def test_a_kill_in_a_life_that_the_engine_has_not_told_of_counts_once() -> None:
    """A restart, and a kill right after it, while the engine is slow to tell of either."""
    kills = OomKills(replace(RUNNING, oom_events=0))
    late = replace(RUNNING, init=SECOND, oom_events=0)
    kills.follow(late)
    assert kills.read(SECOND, b"1") == 1
    kills.follow(replace(late, oom_events=1))
    assert kills.total == 1
    kills.follow(replace(AGAIN, oom_events=1, oom_killed=False))
    assert kills.total == 1
    assert kills.read(SECOND, b"2") == 2


def test_kills_on_both_sides_of_a_restart_are_all_counted() -> None:
    kills = OomKills(replace(RUNNING, oom_events=0))
    kills.read(FIRST, b"1")
    late = replace(RUNNING, init=SECOND, oom_events=2)
    kills.follow(late)
    kills.read(SECOND, b"1")
    assert kills.total == 2
    kills.follow(replace(AGAIN, oom_events=2, oom_killed=True))
    assert kills.total == 2
