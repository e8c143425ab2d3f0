"""Runs vzlist with the options and fields that the installed version has.

4.x since 4.0 and 7 since its update 7 have -j; 3.x has the text table only. Versions differ in
their fields and reject a command that names another. None of this follows from a version number:
it is tried out once, and again when the program has been replaced.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.engines.openvz.vzlist.errors import (
    EmptyOutput,
    Failed,
    NoSuchField,
    NoSuchOption,
    NotRunnable,
    TimedOut,
    TooLarge,
    Unusable,
    VzlistError,
)
from collectors.engines.openvz.vzlist.output import parse_output

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection

    from collectors.engines.openvz.vzlist.fields import Listed
    from collectors.engines.openvz.vzlist.program import Output, Program

_COUNTERS = (
    "kmemsize",
    "lockedpages",
    "privvmpages",
    "shmpages",
    "numproc",
    "physpages",
    "vmguarpages",
    "oomguarpages",
    "numtcpsock",
    "numflock",
    "numpty",
    "numsiginfo",
    "tcpsndbuf",
    "tcprcvbuf",
    "othersockbuf",
    "dgramrcvbuf",
    "numothersock",
    "dcachesize",
    "numfile",
    "numiptent",
    "swappages",
)
_IDENTITY = ("ctid", "status", "onboot", "layout")
_RUNTIME = ("laverage", "uptime", "cpus", "iolimit", "iopslimit")
_CPU = ("cpulimit", "cpuunits")
# No description: it is free text of a customer, and nothing reads it.
_NAMES = ("name", "hostname")
_ADDRESSES = ("configured_ip", "ip")
_JSON_FIELDS = (
    *_IDENTITY,
    *_RUNTIME,
    *_CPU,
    "diskspace",
    "diskinodes",
    *_COUNTERS,
    *("ostemplate", "private", "root"),
    *_NAMES,
    *_ADDRESSES,
)
# In the table a column that may hold blanks must come last, so each has a run of its own. The paths
# of the private area and the root are in the configuration, too.
_TABLE_FIELDS = (
    *_IDENTITY,
    *_RUNTIME,
    *_CPU,
    *(f"diskspace{part}" for part in ("", ".s", ".h")),
    *(f"diskinodes{part}" for part in ("", ".s", ".h")),
    *(f"{name}{part}" for name in _COUNTERS for part in ("", ".m", ".b", ".l", ".f")),
    "ostemplate",
    "ip",
)
_FIRST_NAMES = ("ctid", "veid", "vpsid")
"""Field names of the CTID, newest first."""

_NO_FIELD = re.compile(r"(?:Unknown|Invalid) field:? `?([a-z_.%M]{1,31})|Field `([a-z_.%M]{1,31})'")
_NONE = re.compile(r"(?:Container|CT|VE|VPS)(?:\(s\))? (?:is )?not found\.?")
_NO_OPTION = re.compile(r"(?:invalid|unrecognized|illegal|unknown) option", re.IGNORECASE)


class Vzlist:
    """vzlist as it is installed; used by one thread."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._identity: tuple[int, ...] | None = None
        self._form: Callable[[_Budget], dict[str, Listed]] | None = None
        self._unknown: set[str] = set()

    def containers(self, timeout: float, stop: threading.Event) -> dict[str, Listed]:
        """List all containers by CTID, within ``timeout`` seconds in all.

        Raises ``VzlistError``: the first error, as the later attempts are only made because of
        it.
        """
        identity = self._program.identity()
        if identity != self._identity:
            self._identity, self._form, self._unknown = identity, None, set()
        budget = _Budget(time.monotonic() + timeout, stop)
        if self._form is not None:
            try:
                return self._form(budget)
            except NoSuchOption:
                self._form = None
            except Unusable:
                # The next document may be whole again: the form is kept.
                pass
        return self._find_form(budget)

    def _find_form(self, budget: _Budget) -> dict[str, Listed]:
        first: VzlistError | None = None
        for form in (self._json, self._default_json, self._tables, self._default_table):
            try:
                containers = form(budget)
            except (NotRunnable, TimedOut, TooLarge):
                # Another option would not change it.
                raise
            except VzlistError as error:
                first = error if first is None or isinstance(first, NoSuchOption) else first
            else:
                self._form = self._form or form
                return containers
        raise first or EmptyOutput("vzlist printed nothing")

    def _json(self, budget: _Budget) -> dict[str, Listed]:
        try:
            return self._ask(budget, ("-a", "-j"), _JSON_FIELDS)
        except EmptyOutput:
            # Without /proc/fairsched vzlist prints nothing if it is asked for the CPU limit.
            return self._ask(budget, ("-a", "-j"), [f for f in _JSON_FIELDS if f not in _CPU])

    def _default_json(self, budget: _Budget) -> dict[str, Listed]:
        return self._ask(budget, ("-a", "-j"), ())

    def _tables(self, budget: _Budget) -> dict[str, Listed]:
        try:
            containers = self._ask(budget, ("-a",), _TABLE_FIELDS)
        except EmptyOutput:
            containers = self._ask(budget, ("-a",), [f for f in _TABLE_FIELDS if f not in _CPU])
        for name in _NAMES:
            named = self._ask(budget, ("-a",), ("ctid", name))
            for ctid, listed in named.items():
                if ctid not in containers:
                    continue
                if name == "name":
                    containers[ctid] = replace(containers[ctid], name=listed.name)
                else:
                    containers[ctid] = replace(containers[ctid], hostname=listed.hostname)
        return containers

    def _default_table(self, budget: _Budget) -> dict[str, Listed]:
        return self._ask(budget, ("-a",), ())

    def _ask(
        self, budget: _Budget, options: tuple[str, ...], fields: Collection[str]
    ) -> dict[str, Listed]:
        """List these fields, and fewer when this version does not have one of them."""
        while True:
            supported = self._supported(fields)
            arguments = (*options, "-o", ",".join(supported)) if supported else options
            budget.check()
            output = self._program.run(arguments, budget.left(), budget.stop)
            try:
                return _read(output)
            except NoSuchField as error:
                if error.field not in supported:
                    raise
                self._unknown.add(error.field)
                self._forget_unknown(budget, supported)

    def _forget_unknown(self, budget: _Budget, asked: Collection[str]) -> None:
        """Note all fields that are not in this version's own list, if it prints one."""
        output = self._program.run(("-L",), budget.left(), budget.stop)
        lines = (line.split() for line in output.stdout.decode("utf-8", "replace").splitlines())
        fields = {words[0] for words in lines if len(words) == 2}
        if "status" in fields:
            self._unknown.update(field for field in asked if field not in fields)

    def _supported(self, fields: Collection[str]) -> list[str]:
        supported = [
            f for f in fields if f not in self._unknown and f.partition(".")[0] not in self._unknown
        ]
        if fields and "ctid" not in supported:
            supported[:0] = [n for n in _FIRST_NAMES if n not in self._unknown][:1]
        return supported


class _Budget:
    """The time that is left for one listing, and whether it is still wanted."""

    def __init__(self, deadline: float, stop: threading.Event) -> None:
        self._deadline = deadline
        self.stop = stop

    def left(self) -> float:
        return max(self._deadline - time.monotonic(), 0.0)

    def check(self) -> None:
        if not self.left() or self.stop.is_set():
            raise TimedOut("vzlist did not come to an end in time")


def _read(output: Output) -> dict[str, Listed]:
    """Return the containers that a run of vzlist has listed; text on stderr alone is no failure."""
    lines = [line.strip() for line in output.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if not line.startswith("Warning")]
    if errors and not output.stdout.strip() and all(map(_NONE.fullmatch, errors)):
        # 3.x even ends with exit status 1 when there are no containers.
        return {}
    if output.status != 0:
        no_field = _NO_FIELD.search(output.stderr)
        if no_field is not None:
            raise NoSuchField(no_field[1] or no_field[2])
        why = lines[0][:200] if lines else ""
        if _NO_OPTION.search(output.stderr):
            raise NoSuchOption(why)
        how = f"exit status {output.status}" if output.status > 0 else f"signal {-output.status}"
        raise Failed(f"vzlist ended with {how}{': ' if why else ''}{why}")
    try:
        return parse_output(output.stdout)
    except EmptyOutput as error:
        why = f": {lines[0][:200]}" if lines else ""
        raise EmptyOutput(f"{error}{why}") from error
