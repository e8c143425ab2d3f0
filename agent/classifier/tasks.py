"""What each process of a container does in it, by its scene: init, service, worker, job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.process_tree import same_binary
from agent.classifier.scene import InitKind
from agent.model import Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.classifier.scene import Program, Scene
    from collectors.facts import Process


def tasks(scene: Scene) -> Mapping[int, Task]:
    """Return the task of every process of a scene, by pid."""
    subject = scene.subject
    by_pid = {process.pid: process for process in subject.processes}
    found = {pid: task for program in scene.programs for pid, task in _of_program(program)}
    for session in (*scene.sessions.values(), scene.left_running):
        found |= {process.pid: Task.SESSION for process in session}
    shells = {process.session for process in scene.exec_shells}
    for pid in subject.entered_from_outside & by_pid.keys():
        found[pid] = Task.SESSION if by_pid[pid].session in shells else Task.JOB
    if scene.init is not None and scene.init_kind is not InitKind.PROGRAM:
        supervises = scene.init_kind is InitKind.SUPERVISOR
        found[scene.init.pid] = Task.SUPERVISOR if supervises else Task.INIT
    holders = _ancestors(by_pid, (pid for pid, task in found.items() if task is Task.SERVICE))
    return {pid: found.get(pid, Task.SUPERVISOR if pid in holders else Task.JOB) for pid in by_pid}


def _of_program(program: Program) -> Iterator[tuple[int, Task]]:
    """Return the tasks below one service: what cron starts is a job, what others fork a worker."""
    heads = {program.lead.pid, *_tops(program)}
    for process in program.processes:
        if process.pid in heads:
            yield process.pid, Task.SERVICE
        elif program.family == "cron" and not same_binary(process, program.lead):
            yield process.pid, Task.JOB
        else:
            yield process.pid, Task.WORKER


def _tops(program: Program) -> Iterator[int]:
    """Return the processes of a service that none of its others has started."""
    own = {process.pid for process in program.processes}
    return (process.pid for process in program.processes if process.ppid not in own)


def _ancestors(by_pid: Mapping[int, Process], pids: Iterator[int]) -> set[int]:
    above: set[int] = set()
    for pid in pids:
        parent = by_pid[pid].ppid if pid in by_pid else 0
        while parent in by_pid and parent not in above:
            above.add(parent)
            parent = by_pid[parent].ppid
    return above
