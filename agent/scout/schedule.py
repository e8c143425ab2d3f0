"""Decides when the scout looks at the host, asks the engines and takes a new inventory.

There are three tasks. A full pass reads everything anew. An event pass follows when a cgroup or an
engine reports a change, and another one soon after, as a cgroup is made before its first process.
A check is cheap, and becomes a pass only if something may have changed.

In a pass the inventory is taken anew at once if the set of containers may have changed, and soon if
a process of a container has become another program. If only
other processes came or went (a shell on the host, one more worker), it waits until its cost, which
grows with the number of containers, is a small share of the time since the last one.

Nothing here reads a clock or the host: the caller says what happened, when, and what it cost.
Times are in seconds of a clock that only goes forward, costs in seconds of CPU.
"""

from __future__ import annotations

from enum import Enum, auto

_AFTER_EVENT = (0.05, 0.8)
"""Seconds after an event at which passes run: at the first the process may still be the runtime's
own."""

_FULL_SHARE = 0.001
"""Share of one CPU that full passes may take: a large host is reconciled less often."""

_FULL_LONGEST = 600.0
"""Most seconds between two full passes, whatever they cost."""

_IDLE_SHARE = 0.0005
"""The same for asking the engines, and for taking the inventory, when processes came and went but
the set of containers stayed the same."""

_EVENT_SHARE = 0.1
"""The same for the last pass after an event, for the inventory when a process of a container became
another program, and for passes that look at new containers again: they are delayed if the one
before was expensive."""

_ASK_SECONDS = 30.0
"""The engines are asked this often even if no process came or went."""


_AFTER_LIMITS = 0.2
"""Seconds after a limit was changed at which a check runs: an engine changes several at once."""

_BETWEEN_LIMITS = 1.0
"""Shortest time in seconds between two such checks, and between two reactions to cgroups that were
frozen or thawed: a container may be able to write to its own."""


class Task(Enum):
    """What the scout does when it wakes up."""

    FULL_PASS = auto()
    EVENT_PASS = auto()
    CHECK = auto()


class Schedule:
    """What is due and when; the first task is a full pass."""

    def __init__(self, *, full_interval: float, poll_interval: float) -> None:
        self._full_interval = full_interval
        self._poll_interval = poll_interval
        self._next_full = float("-inf")
        self._limits_at = float("-inf")
        self._frozen_at = float("-inf")
        self._next_check = float("inf")
        self._event_passes: list[float] = []  # in order
        self._second_look_at = float("inf")
        self._next_second_look = float("-inf")
        self._pass_cost = 0.0
        self._asked_at = float("-inf")
        self._ask_cost = 0.0
        self._containers_changed = False
        self._processes_changed = False
        self._program_changed = False
        self._idle_inventory_at = float("-inf")
        self._soon_inventory_at = float("-inf")

    def task(self, now: float) -> Task | None:
        """Return the task that is due; None if the scout may sleep."""
        if now >= self._next_full:
            return Task.FULL_PASS
        if now >= min([self._second_look_at, *self._event_passes[:1]]):
            return Task.EVENT_PASS
        return Task.CHECK if now >= self._next_check else None

    def sleep(self, now: float) -> float:
        """Return the seconds until the next task is due; 0 if one is."""
        due = min(
            [self._next_full, self._next_check, self._second_look_at, *self._event_passes[:1]]
        )
        return max(0.0, due - now)

    def done(self, task: Task, *, started: float, ended: float, cost: float) -> None:
        """Note that a task has run, whichever of the three it was."""
        if task is not Task.CHECK:
            self._pass_cost = cost
            if self._second_look_at <= started:
                self._second_look_at = float("inf")
        if task is Task.FULL_PASS:
            longest = max(self._full_interval, _FULL_LONGEST)
            wait = min(longest, max(self._full_interval, cost / _FULL_SHARE))
            self._next_full = started + wait
            self._next_check = started + self._poll_interval
            return
        if task is Task.EVENT_PASS:
            later = [time for time in self._event_passes if time > started]
            self._event_passes = [max(time, started + cost / _EVENT_SHARE) for time in later[-1:]]
        self._next_check = ended + self._poll_interval

    def event(self, now: float) -> None:
        """Note that a cgroup or an engine has reported a change."""
        passes = {*self._event_passes, *(now + seconds for seconds in _AFTER_EVENT)}
        self._event_passes = sorted(passes)

    def limits_changed(self, now: float) -> None:
        """Note that a limit of a container was changed."""
        self._limits_at = max(now + _AFTER_LIMITS, self._limits_at + _BETWEEN_LIMITS)
        self._next_check = min(self._next_check, self._limits_at)

    def frozen(self, now: float) -> None:
        """Note that a cgroup was frozen or thawed, of which not every engine has an event."""
        if now >= self._frozen_at:  # else the passes that are due then see this one, too
            least = max(_BETWEEN_LIMITS, self._pass_cost / _EVENT_SHARE)
            self._frozen_at = max(now, self._frozen_at + least)
            self.event(self._frozen_at)

    def processes_changed(self) -> None:
        """Note that processes came or went."""
        self._processes_changed = True

    def program_changed(self) -> None:
        """Note that a process of a container executes another program than before."""
        self._program_changed = True

    def containers_changed(self) -> None:
        """Note that the set of containers, or what the engines say of them, may have changed."""
        self._containers_changed = True

    def containers_change_in(self, seconds: float, now: float) -> None:
        """Note that the set of containers changes then without another event.

        The first look after a while comes then, whatever the pass before it has cost.
        """
        self._containers_changed = True
        at = now + seconds
        if at < self._next_second_look:
            self._event_passes = sorted({*self._event_passes, at})
        else:
            self._second_look_at = at
            self._next_second_look = at + self._pass_cost / _EVENT_SHARE

    def needs_pass(self, now: float) -> bool:
        """Return whether a check must become a pass, though it has found no change itself."""
        return self._inventory_due(now) or now - self._asked_at >= _ASK_SECONDS

    def asks_engines(self, task: Task, now: float) -> bool:
        """Return whether the pass of a task asks the engines, too."""
        if task is not Task.CHECK or self._containers_changed:
            return True
        return now - self._asked_at >= min(_ASK_SECONDS, self._ask_cost / _IDLE_SHARE)

    def engines_asked(self, now: float, cost: float) -> None:
        """Note that the engines were asked."""
        self._asked_at = now
        self._ask_cost = cost

    def takes_inventory(self, task: Task, now: float) -> bool:
        """Return whether the pass of a task takes the inventory anew."""
        return task is Task.FULL_PASS or self._inventory_due(now)

    def inventory_taken(self, now: float, cost: float) -> None:
        """Note that the inventory was taken, of everything that had changed until now."""
        self._containers_changed = self._processes_changed = self._program_changed = False
        self._idle_inventory_at = now + cost / _IDLE_SHARE
        self._soon_inventory_at = now + cost / _EVENT_SHARE

    def _inventory_due(self, now: float) -> bool:
        waited = self._processes_changed and now >= self._idle_inventory_at
        soon = self._program_changed and now >= self._soon_inventory_at
        return self._containers_changed or waited or soon
