"""Each rule of the scout's schedule, without a host or a clock."""

from __future__ import annotations

import pytest

from agent.scout.schedule import Schedule, Task

FULL, EVENT, CHECK = Task.FULL_PASS, Task.EVENT_PASS, Task.CHECK
START = 1000.0


@pytest.fixture
def schedule() -> Schedule:
    """Return a schedule after its first full pass, which cost next to nothing."""
    schedule = Schedule(full_interval=60.0, poll_interval=2.0)
    ran(schedule, FULL, START)
    schedule.engines_asked(START, cost=0.0)
    schedule.inventory_taken(START, cost=0.0)
    return schedule


def ran(schedule: Schedule, task: Task, now: float, cost: float = 0.0) -> None:
    """Note a task that took no time."""
    schedule.done(task, started=now, ended=now, cost=cost)


def run(schedule: Schedule, until: float, cost: float = 0.0) -> list[tuple[Task, float]]:
    """Run what is due from the start until a time; return the tasks, and when they ran."""
    now, tasks = START, []
    while (now := now + schedule.sleep(now)) <= until:
        task = schedule.task(now)
        assert task is not None
        tasks.append((task, round(now - START, 3)))
        ran(schedule, task, now, cost)
    return tasks


class TestTasks:
    def test_the_first_is_a_full_pass_at_once(self) -> None:
        schedule = Schedule(full_interval=60.0, poll_interval=2.0)
        assert (schedule.task(0.0), schedule.sleep(0.0)) == (FULL, 0.0)

    def test_at_rest_there_are_checks_and_now_and_then_a_full_pass(
        self, schedule: Schedule
    ) -> None:
        tasks = run(schedule, START + 64.0)
        assert [time for task, time in tasks if task is FULL] == [60.0]
        assert [time for task, time in tasks if task is CHECK][:3] == [2.0, 4.0, 6.0]
        assert len(tasks) == 32

    def test_a_changed_limit_is_followed_by_a_check_soon(self, schedule: Schedule) -> None:
        schedule.limits_changed(START + 0.5)
        assert run(schedule, START + 4.0) == [(CHECK, 0.7), (CHECK, 2.7)]

    def test_limits_that_change_all_the_time_are_checked_once_a_second(
        self, schedule: Schedule
    ) -> None:
        now, checks = START, 0
        while now < START + 10.0:
            schedule.limits_changed(now)
            now += schedule.sleep(now)
            assert schedule.task(now) is CHECK
            ran(schedule, CHECK, now)
            checks += 1
        assert checks <= 11

    def test_a_frozen_cgroup_is_followed_by_passes_as_other_events_are(
        self, schedule: Schedule
    ) -> None:
        schedule.frozen(START + 0.5)
        assert run(schedule, START + 2.0) == [(EVENT, 0.55), (EVENT, 1.3)]

    def test_cgroups_that_are_frozen_all_the_time_are_looked_at_twice_a_second(
        self, schedule: Schedule
    ) -> None:
        now, passes = START, 0
        while now < START + 10.0:
            schedule.frozen(now)
            now += schedule.sleep(now)
            task = schedule.task(now)
            assert task is not None
            ran(schedule, task, now)
            passes += task is EVENT
        assert passes <= 22

    def test_until_something_is_due_there_is_nothing_to_do(self, schedule: Schedule) -> None:
        assert schedule.task(START + 1.5) is None
        assert schedule.sleep(START + 1.5) == 0.5

    def test_what_is_overdue_is_not_waited_for(self, schedule: Schedule) -> None:
        assert schedule.sleep(START + 99.0) == 0.0

    def test_a_full_pass_comes_before_all_else(self, schedule: Schedule) -> None:
        schedule.event(START)
        assert schedule.task(START + 99.0) is FULL

    def test_an_expensive_full_pass_is_followed_by_a_longer_wait(self, schedule: Schedule) -> None:
        ran(schedule, FULL, START, cost=0.5)
        assert FULL not in {task for task, _ in run(schedule, START + 499.0)}
        assert schedule.task(START + 501.0) is FULL

    def test_a_long_full_pass_delays_no_check(self, schedule: Schedule) -> None:
        schedule.done(FULL, started=START, ended=START + 5.0, cost=0.0)
        assert schedule.task(START + 5.0) is CHECK

    def test_the_next_check_is_counted_from_the_end_of_the_last_one(
        self, schedule: Schedule
    ) -> None:
        schedule.done(CHECK, started=START + 2.0, ended=START + 3.0, cost=0.0)
        assert schedule.sleep(START + 3.0) == 2.0


class TestEvents:
    def test_an_event_is_followed_by_a_pass_at_once_and_another_soon_after(
        self, schedule: Schedule
    ) -> None:
        schedule.event(START)
        assert run(schedule, START + 2.0) == [(EVENT, 0.05), (EVENT, 0.8)]

    def test_a_burst_of_events_is_followed_by_the_passes_of_one(self, schedule: Schedule) -> None:
        for number in range(5):
            schedule.event(START + number / 100)
        assert run(schedule, START + 2.0) == [(EVENT, 0.05), (EVENT, 0.84)]

    def test_an_expensive_pass_delays_the_one_after_it(self, schedule: Schedule) -> None:
        schedule.event(START)
        assert run(schedule, START + 3.0, cost=0.15)[:2] == [(EVENT, 0.05), (EVENT, 1.55)]

    def test_a_new_event_is_not_delayed_by_that(self, schedule: Schedule) -> None:
        schedule.event(START)
        ran(schedule, EVENT, START + 0.05, cost=0.5)
        schedule.event(START + 1.0)
        assert schedule.sleep(START + 1.0) == pytest.approx(0.05)

    def test_a_pass_that_took_long_replaces_those_that_fell_due_before_it(
        self, schedule: Schedule
    ) -> None:
        schedule.event(START)
        schedule.done(EVENT, started=START + 1.0, ended=START + 1.5, cost=0.0)
        assert schedule.task(START + 1.5) is None

    def test_a_check_waits_after_the_pass_of_an_event(self, schedule: Schedule) -> None:
        schedule.event(START + 1.0)
        assert run(schedule, START + 4.0)[-1] == (CHECK, 3.8)


class TestInventory:
    """Whether a pass takes the inventory anew."""

    def test_a_full_pass_does(self, schedule: Schedule) -> None:
        assert schedule.takes_inventory(FULL, START)

    @pytest.mark.parametrize("task", [EVENT, CHECK])
    def test_another_does_not_where_nothing_changed(self, schedule: Schedule, task: Task) -> None:
        assert not schedule.takes_inventory(task, START + 1.0)

    @pytest.mark.parametrize("task", [EVENT, CHECK])
    def test_a_change_of_the_containers_is_taken_in_at_once(
        self, schedule: Schedule, task: Task
    ) -> None:
        schedule.inventory_taken(START, cost=1.0)
        schedule.containers_changed()
        assert schedule.takes_inventory(task, START)

    @pytest.mark.parametrize("task", [EVENT, CHECK])
    def test_other_processes_wait_until_its_cost_is_a_small_share(
        self, schedule: Schedule, task: Task
    ) -> None:
        schedule.inventory_taken(START, cost=0.01)
        schedule.processes_changed()
        assert not schedule.takes_inventory(task, START + 19.9)
        assert schedule.takes_inventory(task, START + 20.1)

    def test_what_was_taken_in_is_no_change_any_more(self, schedule: Schedule) -> None:
        schedule.containers_changed()
        schedule.processes_changed()
        schedule.inventory_taken(START, cost=0.0)
        assert not schedule.takes_inventory(CHECK, START + 99.0)


class TestCheck:
    """Whether a check becomes a pass though it has seen no change itself."""

    def test_not_at_rest(self, schedule: Schedule) -> None:
        assert not schedule.needs_pass(START + 29.0)

    def test_when_the_engines_were_not_asked_for_long(self, schedule: Schedule) -> None:
        assert schedule.needs_pass(START + 30.0)

    def test_when_an_inventory_that_waited_may_be_taken(self, schedule: Schedule) -> None:
        schedule.inventory_taken(START, cost=0.005)
        schedule.processes_changed()
        assert not schedule.needs_pass(START + 9.9)
        assert schedule.needs_pass(START + 10.1)

    def test_when_the_containers_changed_as_after_a_step_of_the_clock(
        self, schedule: Schedule
    ) -> None:
        schedule.containers_changed()
        assert schedule.needs_pass(START)


class TestEngines:
    """Whether a pass asks the engines."""

    @pytest.mark.parametrize("task", [FULL, EVENT])
    def test_a_full_pass_and_that_of_an_event_do(self, schedule: Schedule, task: Task) -> None:
        schedule.engines_asked(START, cost=9.0)
        assert schedule.asks_engines(task, START)

    def test_after_a_check_they_are_asked_if_that_is_cheap(self, schedule: Schedule) -> None:
        schedule.engines_asked(START, cost=0.005)
        assert not schedule.asks_engines(CHECK, START + 9.9)
        assert schedule.asks_engines(CHECK, START + 10.1)

    def test_engines_that_are_expensive_to_ask_are_asked_all_the_same(
        self, schedule: Schedule
    ) -> None:
        schedule.engines_asked(START, cost=9.0)
        assert not schedule.asks_engines(CHECK, START + 29.0)
        assert schedule.asks_engines(CHECK, START + 30.0)

    def test_they_are_asked_at_once_when_the_containers_changed(self, schedule: Schedule) -> None:
        schedule.engines_asked(START, cost=9.0)
        schedule.containers_changed()
        assert schedule.asks_engines(CHECK, START)

    def test_a_change_that_is_expected_has_a_pass_of_its_own(self, schedule: Schedule) -> None:
        schedule.containers_change_in(0.7, START)
        assert schedule.takes_inventory(EVENT, START)
        assert run(schedule, START + 1.0) == [(EVENT, 0.7)]

    def test_a_second_look_is_not_delayed_by_what_the_first_has_cost(
        self, schedule: Schedule
    ) -> None:
        schedule.event(START)
        schedule.containers_change_in(0.1, START + 0.1)
        ran(schedule, EVENT, START + 0.1, cost=0.5)
        assert run(schedule, START + 1.0, cost=0.5) == [(EVENT, 0.2)]

    def test_second_looks_all_the_time_are_delayed_by_their_cost(self, schedule: Schedule) -> None:
        ran(schedule, EVENT, START, cost=0.2)
        looks, now = [], START
        while now < START + 9.0:
            schedule.containers_change_in(0.1, now)
            ran(schedule, EVENT, now, cost=0.2)
            now += schedule.sleep(now)
            if schedule.task(now) is EVENT:
                looks.append(now - START)
            else:
                ran(schedule, CHECK, now)
        assert 4 <= len(looks) <= 10


class TestPrograms:
    """What follows when a process of a container becomes another program."""

    def test_the_inventory_is_taken_soon(self, schedule: Schedule) -> None:
        schedule.inventory_taken(START, cost=0.5)
        schedule.processes_changed()
        schedule.program_changed()
        assert not schedule.needs_pass(START + 4)
        assert schedule.needs_pass(START + 6)
        assert schedule.takes_inventory(CHECK, START + 6)

    def test_once(self, schedule: Schedule) -> None:
        schedule.program_changed()
        assert schedule.takes_inventory(CHECK, START + 1)
        schedule.inventory_taken(START + 1, cost=0.0)
        assert not schedule.takes_inventory(CHECK, START + 9)


@pytest.mark.parametrize(
    ("interval", "cost", "wait"),
    [(60.0, 0.001, 60.0), (60.0, 0.2, 200.0), (60.0, 5.0, 600.0), (900.0, 5.0, 900.0)],
)
def test_full_passes_are_at_most_ten_minutes_apart(
    interval: float, cost: float, wait: float
) -> None:
    schedule = Schedule(full_interval=interval, poll_interval=1e9)
    ran(schedule, FULL, START, cost)
    assert schedule.sleep(START) == wait
