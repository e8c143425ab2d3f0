"""Two containers under one name, in two places of one engine: each with its own id and facts."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from tests.engines.harness import oci, roots, systems
from tests.engines.harness.agent import ls, running_agent
from tests.engines.harness.made import child_running, unique
from tests.engines.harness.need import need
from tests.engines.harness.programs import (
    CommandError,
    Daemon,
    descendants,
    remove_cgroups,
    run,
    workplace,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.engines.harness.agent import Agent, Page, Row

pytestmark = pytest.mark.engine

SLEEP = ("/bin/sleep", "86400")
LIMITS = (64 << 20, 96 << 20)
"""Memory that the first and the second may use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """Two containers under one name, both running."""

    name: str
    engine: str
    place: Path
    limited: bool = True
    end_first: Callable[[], object]
    left: tuple[str, ...]
    """The states of those that are there when the first was ended."""


@contextmanager
def lxc() -> Iterator[Twins]:
    """Return those of two lxcpaths."""
    name = unique("twin")
    with workplace("lxc") as place, ExitStack() as stack:
        stack.callback(remove_cgroups, *(f"lxc.{k}.{name}{n}" for k in KINDS for n in ("", "-1")))
        where = []
        for path, limit in zip((place / "one", place / "two"), LIMITS, strict=True):
            path.mkdir()
            lines = systems.lxc_config(name, path, *SLEEP)
            limits = (f"lxc.cgroup.memory.limit_in_bytes = {limit}", "")
            (path / name / "config").write_text("\n".join([*lines, *limits]))
            words = (f"--lxcpath={path}", f"--name={name}")
            run("lxc-start", *words, f"--logfile={place}/log")
            stack.callback(_quietly, "lxc-stop", *words, "--kill")
            where.append(words)
        yield Twins(
            name=name,
            engine="lxc",
            place=place,
            end_first=lambda: run("lxc-stop", *where[0], "--kill"),
            left=("exited", "running"),
        )


KINDS = ("payload", "monitor")


@contextmanager
def runc() -> Iterator[Twins]:
    """Return those of two state directories."""
    name = unique("twin")
    with workplace("runc") as place, ExitStack() as stack:
        stack.callback(remove_cgroups, f"{name}-one", f"{name}-two")
        programs = []
        for word, limit in zip(("one", "two"), LIMITS, strict=True):
            (place / word).mkdir()
            bundle = oci.make_bundle(place / word, *SLEEP, cgroup=f"/{name}-{word}")
            config = json.loads((bundle / "config.json").read_text())
            config["linux"]["resources"]["memory"] = {"limit": limit}
            (bundle / "config.json").write_text(json.dumps(config))
            program = ("runc", f"--root={place}/{word}/state")
            daemon = Daemon(
                *(*program, "run", "--detach", "--bundle", bundle, name), log=place / word / "log"
            )
            assert daemon.process.wait(60) == 0, daemon.output()
            stack.callback(_quietly, *program, "delete", "--force", name)
            programs.append(program)
        yield Twins(
            name=name,
            engine="runc",
            place=place,
            end_first=lambda: run(*programs[0], "delete", "--force", name),
            left=("running",),
        )


@contextmanager
def containerd() -> Iterator[Twins]:
    """Return those of two namespaces."""
    name = unique("twin")
    with oci.containerd_alone() as one:
        two = replace(one, ctr=(*one.ctr[:-1], "other"), slice=f"{one.slice}/other")
        for engine, limit in zip((one, two), LIMITS, strict=True):
            run(*engine.command(name, "--detach", f"--memory-limit={limit}"), *SLEEP)
        try:
            yield Twins(
                name=name,
                engine="containerd",
                place=one.root.parent,
                end_first=lambda: run(*one.ctr, "task", "kill", "--signal=SIGKILL", name),
                left=("exited", "running"),
            )
        finally:
            two.kill_all()


@contextmanager
def podman() -> Iterator[Twins]:
    """Return those of two stores."""
    name = unique("twin")
    with workplace("podman") as place, ExitStack() as stack:
        archive = place / "busybox.tar"
        run("tar", "-C", roots.make_busybox(place / "busybox"), "-cf", archive, ".")
        programs = []
        for word, limit in zip(("one", "two"), LIMITS, strict=True):
            here = place / word
            program = (
                *("podman", f"--root={here}/root", f"--runroot={here}/run", f"--tmpdir={here}/tmp"),
                *("--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--runtime=runc"),
            )
            run(*program, "import", archive, "busybox:1")
            stack.callback(_quietly, *program, "rm", "--force", "--time=0", name)
            options = (f"--memory={limit}", "--ulimit=nofile=4096:8192", "--ulimit=nproc=4096:8192")
            run(
                *(*program, "run", "--detach", f"--name={name}", "--network=none", *options),
                *("busybox:1", *SLEEP),
            )
            programs.append(program)
        yield Twins(
            name=name,
            engine="podman",
            place=place,
            end_first=lambda: run(*programs[0], "rm", "--force", "--time=0", name),
            left=("running",),
        )


@contextmanager
def nspawn() -> Iterator[Twins]:
    """Return those of two directories, both in one cgroup and unknown to machined."""
    name = unique("twin")
    with workplace("nspawn") as place, ExitStack() as stack:
        daemons = []
        for word in ("one", "two"):
            words = ("--register=no", "--keep-unit", f"--machine={name}", "--console=pipe")
            root = roots.make_busybox(place / word)
            daemon = Daemon(
                *("systemd-nspawn", *words, f"--directory={root}", *SLEEP),
                log=place / f"{word}.log",
            )
            stack.callback(_end, daemon)
            child_running(daemon.pid, *SLEEP, seconds=60)
            daemons.append(daemon)
        yield Twins(
            name=name,
            engine="nspawn",
            place=place,
            limited=False,
            end_first=lambda: _end(daemons[0]),
            left=("running",),
        )


def _end(nspawn: Daemon) -> None:
    # The machine ends with its first process, and nspawn cleans up after it.
    for pid in descendants(nspawn.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    nspawn.stop()


def _quietly(*words: str | Path) -> None:
    with suppress(CommandError):
        run(*words)


def test_two_of_one_name_are_two() -> None:
    need("lxc-start", "runc", "containerd", "podman", "systemd-nspawn", "busybox")
    with (
        lxc() as in_lxc,
        runc() as of_runc,
        containerd() as of_containerd,
        podman() as of_podman,
        nspawn() as of_nspawn,
        running_agent("--inventory.poll-interval=1s", "--containers.retention=0s") as agent,
    ):
        twins = (in_lxc, of_runc, of_containerd, of_podman, of_nspawn)
        agent.wait_ready()
        page = wait_for_states(agent, {pair.name: ("running", "running") for pair in twins})
        ids = {pair.name: of(page.rows(), pair) for pair in twins}
        for pair in twins:
            assert len(ids[pair.name]) == 2, ids
            assert not {"/payload", "/supervisor"} & ids[pair.name].keys()
            if pair.limited:
                assert {limit_of(page, key) for key in ids[pair.name]} == set(LIMITS)
        listed = ls()
        assert {pair.name: of(listed, pair) for pair in twins} == ids

        for pair in twins:
            pair.end_first()
        page = wait_for_states(agent, {pair.name: pair.left for pair in twins})
        listed = ls(f"--collector.lxc.path={in_lxc.place}/one")
        for pair in twins:
            now = of(page.rows(), pair)
            assert now.keys() <= ids[pair.name].keys()
            running = [key for key, state in now.items() if state == "running"]
            assert of(listed, pair) == now
            if pair.limited:
                assert [limit_of(page, key) for key in running] == [LIMITS[1]]


def of(rows: list[Row], twins: Twins) -> dict[str, str]:
    """Return the state of each by its id."""
    mine = [row for row in rows if row.name == twins.name and not row.reason]
    assert {row.engine for row in mine} <= {twins.engine}
    found = {row.id: row.state for row in mine}
    assert len(found) == len(mine)
    return found


def limit_of(page: Page, container_id: str) -> float | None:
    """Return how much memory a container may use."""
    return page.value("container_spec_memory_limit_bytes", id=container_id)


def wait_for_states(agent: Agent, wanted: dict[str, tuple[str, ...]]) -> Page:
    """Wait until those of each name are in these states, and return that page."""

    def there(page: Page) -> bool:
        rows = page.rows()
        return all(
            sorted(row.state for row in rows if row.name == name) == sorted(states)
            for name, states in wanted.items()
        )

    return agent.wait_for(there, f"{wanted}")
