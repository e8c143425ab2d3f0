"""What holds for every verdict, whatever the container."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.classifier import classify, findings, read_scene
from agent.model import Container, Style, Subject
from collectors.facts import (
    Account,
    FileId,
    Listener,
    NetworkFacts,
    Process,
    ProcessId,
    RootFacts,
    State,
)
from tests.support.subjects import HOST, NOW, verdict_of

_EXES = (
    "/usr/sbin/sshd", "/usr/sbin/cron", "/usr/sbin/nginx", "/usr/lib/systemd/systemd",
    "/usr/bin/python3.11", "/bin/busybox", "/usr/bin/dash", "/usr/bin/bash", "/usr/bin/tini",
    "/usr/bin/sleep", "/usr/bin/redis-server", "/usr/bin/tmux", "/usr/sbin/rsyslogd",
    "/app/server", "/usr/bin/runsv", "/usr/bin/runsvdir", "/lib64/ld-linux-x86-64.so.2",
    "/usr/bin/qemu-aarch64-static", "/usr/bin/su", "/sbin/agetty", "/usr/bin/login",
    "/sbin/init", "/usr/bin/java", "/usr/bin/dbus-daemon", "/ (deleted)", "", "{0}", None,
)  # fmt: skip
_WORDS = (
    *(exe for exe in _EXES if exe is not None),
    *("-c", "-m", "--user", "init", "sshd: ann@pts/0", "crond", "supervisord", "-", " ", "\ud800"),
)
_TEXTS = ("", "web", "web01.example.org", "{x}", "%s", "\0", "a" * 300, "\ufffd")


def make_subject(seed: int) -> Subject:
    """Return a random container: any tree, any names, anything missing."""
    chance = random.Random(seed)
    pick = chance.choice
    pids = chance.sample(range(1, 40), chance.randrange(12))
    inside = tuple(
        Process(
            id=ProcessId(pid, chance.randrange(50)),
            # Parents may be missing, be themselves, or go round in a circle.
            ppid=pick([0, 1, *pids]),
            comm=pick(_TEXTS),
            state=pick("SRZDTX"),
            session=pick([0, *pids]),
            tty=pick((0, 0, 34816, 1025)),
            argv=tuple(pick(_WORDS) for _ in range(chance.randrange(4))),
            exe=pick(_EXES),
            exe_id=pick((None, FileId(1, chance.randrange(5)))),
            uid=pick((None, 0, 33, 1001)),
            ns_pids=(pid, chance.randrange(1, 20)),
            cgroups={"": pick(("/c", "/c/init.scope", "/c/x.service", "/"))},
        )
        for pid in pids
    )
    ages = (None, 0.0, NOW - 90 * 86400, NOW - 5, NOW)
    root = RootFacts(
        layered=pick((None, True, False)),
        os_name=pick(_TEXTS),
        packages=pick((None, 0, 400)),
        packages_changed=pick(ages),
        init_present=pick((None, True, False)),
        accounts=(Account(name="{x}", uid=0, shell=pick(_TEXTS), locked=pick((True, False))),),
        sessions=pick((None, 0, 3)),
        machine_id=pick(_TEXTS),
        top_level=("bin",),
    )
    network = NetworkFacts(
        firewall_rules=pick((None, 0, 9)),
        listeners=tuple(
            Listener(protocol="tcp", address=pick(("::", "127.0.0.1")), port=port)
            for port in chance.sample((22, 80, 443, 5432), chance.randrange(4))
        ),
    )
    return Subject(
        container=Container(
            id="/c",
            engine=pick(("docker", "lxc", "nspawn", "openvz", "none", "?")),
            name=pick(_TEXTS),
            image=pick(_TEXTS),
            hostname=pick(_TEXTS),
            role=pick(("", "", "infra")),
            state=pick(list(State)),
            init=pick([None, *(p.id for p in inside)]),
            command=tuple(pick(_WORDS) for _ in range(chance.randrange(3))),
            created=pick(ages),
            started=pick(ages),
            restarts=pick((None, 0, 4)),
            boots=pick((None, True, False)),
            auto_remove=pick((None, True)),
            writable_layer_bytes=pick((None, 0, 1 << 40)),
            network=pick(("", "own", "host", "container:/x")),
            labels=pick(({}, {"com.docker.compose.project": "x"})),
        ),
        host=HOST,
        now=NOW,
        processes=inside,
        entered_from_outside=frozenset(
            chance.sample([0, *pids], min(len(pids), chance.randrange(3)))
        ),
        root=pick((None, root)),
        network=pick((None, network)),
    )


def subjects() -> st.SearchStrategy[Subject]:
    # A seed rather than a strategy for each field: a hundred draws a subject are too slow.
    return st.integers(0, 1 << 32).map(make_subject)


@given(subjects())
def test_every_subject_gets_a_verdict_within_bounds(subject: Subject) -> None:
    scene = read_scene(subject)
    verdict = classify(scene)
    assert -1 <= verdict.score <= 1
    assert 0 <= verdict.confidence <= 1
    assert all(-1 <= score <= 1 for score in verdict.axes.values())
    assert set(verdict.axes) == {e.axis for e in verdict.evidence}
    assert (verdict.style is Style.SYSTEM) <= (verdict.score > 0)
    assert (verdict.style is Style.APP) <= (verdict.score < 0)
    for finding in findings(scene, verdict):
        assert finding.sentence


@given(subjects(), st.randoms(use_true_random=False))
def test_the_order_of_processes_does_not_matter(subject: Subject, chance: random.Random) -> None:
    shuffled = list(subject.processes)
    chance.shuffle(shuffled)
    other = replace(subject, processes=tuple(shuffled))
    one, two = read_scene(subject), read_scene(other)
    verdict = classify(one)
    assert classify(two) == verdict
    assert findings(two, verdict) == findings(one, verdict)


@given(
    subjects(),
    st.text(max_size=12),
    st.text(max_size=12),
    st.dictionaries(
        st.sampled_from(["com.docker.compose.project", "io.kubernetes.pod.name", "role", "x"]),
        st.text(max_size=5),
    ),
)
def test_a_new_name_or_label_never_turns_it(
    subject: Subject, name: str, hostname: str, labels: dict[str, str]
) -> None:
    renamed = replace(subject.container, name=name, hostname=hostname, labels=labels, image=name)
    other = verdict_of(replace(subject, container=renamed))
    verdict = verdict_of(subject)
    assert {other.style, verdict.style} != {Style.APP, Style.SYSTEM}
