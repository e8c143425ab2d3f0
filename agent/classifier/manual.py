"""Writes docs/verdict.md from the table of rules, so that it cannot be stale.

``python -m agent.classifier.manual > docs/verdict.md``; a test asserts that it was done.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent.classifier.combine import CHEAP_CAP, CHEAP_SHARE, PRIOR_CONFIDENCE, UNDECIDED
from agent.classifier.findings import CATALOGUE
from agent.classifier.hysteresis import HOLD, PASSES, YOUNG
from agent.classifier.judge import SURE
from agent.classifier.table import RULES
from agent.model import Axis

if TYPE_CHECKING:
    from collections.abc import Iterator

_AXES = {
    Axis.INIT: "What the first process is: a service manager, a supervisor, a reaper, a shell that "
    "waits, the program itself, or something that only keeps the container alive. Told by the "
    "binary, by what it has started and by the cgroups that it keeps, not by its name alone: an "
    "init that has started nothing, and serves nobody, says nothing yet.",
    Axis.SERVICES: "How many unrelated services run, and which of them are an operating system's "
    "own. This is the axis that decides.",
    Axis.USERS: "Who runs things, and whether people are logged in through a login service of the "
    "container's own. What an engine's exec put in is nobody's.",
    Axis.FILESYSTEM: "A whole system's root or an application's, layers of an image or a disk of "
    "its own, patched in place or not.",
    Axis.NETWORK: "A network of its own with logins, several ports and a firewall, or forwarded "
    "ports, or somebody else's network.",
    Axis.PROVENANCE: "Where it comes from: the engine, an image, an orchestrator, an OS template.",
    Axis.LIFECYCLE: "How it has lived: replaced with every build, or kept, restarted and repaired.",
}


def render() -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from (
        _INTRODUCTION.strip()
        .format(
            cap=CHEAP_CAP,
            share=f"{CHEAP_SHARE:.0%}".replace("%", " %"),
            prior=PRIOR_CONFIDENCE,
            undecided=UNDECIDED,
            sure=SURE,
            young=f"{YOUNG:.0f}",
            hold=f"{HOLD:.0f}",
            passes=PASSES,
        )
        .splitlines()
    )
    yield ""
    yield "## The rules"
    yield ""
    yield (
        "Positive weights speak for system, negative ones for app. *Cheap* marks what is cheap to "
        "forge."
    )
    for axis in Axis:
        yield ""
        yield f"### {axis.value.capitalize()}"
        yield ""
        yield _AXES[axis]
        yield ""
        yield "| rule | weight | when |"
        yield "| --- | ---: | --- |"
        for rule in RULES:
            if rule.axis is axis:
                cheap = " *Cheap.*" if rule.cheap else ""
                yield f"| `{rule.name}` | {rule.weight:+.1f} | {rule.when}{cheap} |"
    yield ""
    yield "## Findings"
    yield ""
    yield (
        "A finding is a practice that the model warns of, named on "
        "`tallyman_container_finding{finding=…}`, in `tallyman explain` and `tallyman ls "
        "--findings`."
    )
    for kind in CATALOGUE:
        yield ""
        yield f"### `{kind.name}`: {kind.title[0].lower()}{kind.title[1:]}"
        yield ""
        yield f"{kind.means} {kind.matters}"
        yield ""
        yield f"**What to do:** {kind.advice}"
    yield ""
    yield from _LIMITS.strip().splitlines()


_INTRODUCTION = """
# The verdict: app-style or system-style

This page is generated from the table of rules (`python -m agent.classifier.manual`).

## Two ideas

Two ideas share the word container. Docker's: package **one application** with its files as an
image, run it, replace it, let an orchestrator place it. OpenVZ's, LXC's and nspawn's: partition
one Linux kernel into **small servers** with their own init, services, users, filesystem and
network, which are administered like servers. The engine does not tell which one you have: people
run systemd, sshd and cron in Docker, and single programs in LXC. Tallyman looks at what a
container does.

- **App-style**: it exists to run one application. That may be many processes (a master and its
  workers, postfix's or dovecot's daemons), under a reaper or a shell as first process. A sidecar,
  a job, a build step and a container engine in a container are app-style too.
- **System-style**: it is a small server: a service manager or supervisor over unrelated services,
  or at least two independent services of which one is an operating system's own (sshd, cron,
  syslog, dbus, getty, udev, logind).

One sshd or one cron alone is app. Supervisord over nginx and php-fpm, the parts of one web
application, is app; a database, a web server, sshd and cron under runit are system. A freshly
booted idle system is system. systemd and journald over one application, with no getty, sshd or
cron, is app, not surely, with a finding. A shell or `sleep infinity` alone is app.

## How a process tree is read

Whatever starts and holds others is peeled off from the top: a service manager, a supervisor, a
reaper, su, a shell that waits, a `sleep` that keeps the container alive. A program that nobody
knows is a supervisor when it holds services of two families. Each subtree below is one program,
whatever it forks; programs of one family (postfix's master, qmgr and pickup) are one service.
Children of sshd and of login are people, children of cron are jobs, and what an engine's exec put
in is nobody's service.

Programs are parts of one application when something among them runs its code (php-fpm, gunicorn,
a binary that nobody knows): it, the web servers before it, up to two stores behind it, exporters
and log shippers. Without it, a web server and a database have nothing to do with each other; a
mail server, a forge or a monitoring server may keep its data in one.
What was installed as one product (all of it below `/opt/forge`) is one application.

A process is what its binary (`/proc/<pid>/exe`) **and** its arguments say. Where they disagree,
the binary is believed, by half. A multi-call binary (busybox), an interpreter or an emulator
counts by its arguments, by half, and wants company: two halves make a whole. A title such as
`sshd: …` on a Python process counts nothing at all, and an sshd in a network where nothing listens
counts half. So does what serves others or tends the machine (dbus, a time server, haveged, smartd):
a desktop's or avahi's bus makes no server of it.

## How evidence adds up

Each rule that applies is one piece of evidence, with a weight: the natural logarithm of the odds,
as in naive Bayes, so +0.7 doubles the odds that it is a small server and -0.7 halves them. The
weights add up to a sum; the **score** is `tanh(sum / 2)`, from -1 (app) to +1 (system), and its
sign is the **style**. An axis has a score of its own from its own pieces. So a piece of evidence
never moves a score against its sign.

What is **cheap to forge** for whoever is inside (files that merely exist, hostnames, labels)
counts together at most {cap}, and at most {share} of what the rest says: it never turns a verdict.

The **confidence** is the size of the score, lowered by evidence that disagrees (by half of the
share that does) and by what could not be read (by half of the share of processes without a
readable binary). It runs from 0, a coin toss, to 1. From {sure} on a verdict is called sure, and
one that differs from what its engine is made for is a mismatch. Of a container that was never seen
running only a prior is known: its confidence is at most {prior}. The style is `unknown` when the
score lies within {undecided} of 0, when nothing is known, while the first process is still the
runtime's own, and while an init has started nothing (an engine that boots whole systems is believed
until then, as a prior).

A verdict is judged anew whenever something changed. In the first {young} seconds of a container it
may turn at once; after that another style must hold for {hold} seconds and {passes} looks before it
is taken, is counted (`tallyman_container_style_changes_total`) and logged with the evidence that
turned it. A single look (`tallyman ls`) gives the style that the daemon settles on: hysteresis only
delays a change. A stopped container keeps its last verdict while it is remembered.

A rule of the configuration can set the style (by engine, name, image, label). It is shown as
evidence, with the score at its end of the scale and the confidence 1.
"""

_LIMITS = """
## Limits

- Names of programs come from a list. A program that is not in it is taken for somebody's own code:
  several of them in one container are taken for the parts of one application.
- Whoever can put a binary at `/usr/sbin/sshd` in a container and run it there is believed. It
  takes two such, or one beside another service, and an open port, to pass for a server.
- Without permission to read `/proc/<pid>/exe` names are believed by half, and verdicts are less
  sure; `tallyman check` says what is missing.
- Two pieces of one application with an operating system's service between them (an application
  with its own cron) count as system-style: the definition says so, and the confidence says how
  much evidence speaks against it.
"""


if __name__ == "__main__":
    sys.stdout.write(render())
