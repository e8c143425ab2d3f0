from __future__ import annotations

import threading

import pytest

from agent.exposition.single_flight import SingleFlight


class Work:
    """Counts its runs; each waits until it is let go, and may fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.runs = 0
        self.fails = fails
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> int:
        self.runs += 1
        self.begun.set()
        assert self.go_on.wait(60)
        if self.fails and self.runs == 1:
            raise ValueError("first")
        return self.runs


def start(flight: SingleFlight[int], results: list[int]) -> threading.Thread:
    def call() -> None:
        try:
            results.append(flight.get())
        except ValueError:
            results.append(-1)

    thread = threading.Thread(target=call)
    thread.start()
    return thread


def run_together(work: Work, count: int) -> list[int]:
    """Return what each of some threads got, of which the first has begun the work."""
    flight, results = SingleFlight(work), list[int]()
    threads = [start(flight, results)]
    assert work.begun.wait(60)
    threads += [start(flight, results) for _ in range(count - 1)]
    pause = threading.Event()
    for _ in range(3000):
        if flight.waiting == count - 1:
            break
        pause.wait(0.01)
    assert flight.waiting == count - 1
    work.go_on.set()
    for thread in threads:
        thread.join(60)
    return results


def test_those_that_ask_meanwhile_share_the_result() -> None:
    work = Work()
    assert run_together(work, 4) == [1, 1, 1, 1]


def test_one_that_asks_later_gets_a_new_result() -> None:
    work = Work()
    work.go_on.set()
    flight = SingleFlight(work)
    assert (flight.get(), flight.get()) == (1, 2)


def test_a_failure_is_raised_once_and_the_waiting_run_it_anew() -> None:
    work = Work(fails=True)
    results = run_together(work, 3)
    assert results.count(-1) == 1
    assert all(result >= 2 for result in results if result != -1)


def test_a_failure_leaves_nothing_locked() -> None:
    work = Work(fails=True)
    work.go_on.set()
    flight = SingleFlight(work)
    with pytest.raises(ValueError, match="first"):
        flight.get()
    assert flight.get() == 2
