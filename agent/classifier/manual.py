"""Writes docs/verdict.md from the table of rules and the catalogue of findings.

``python -m agent.classifier.manual > docs/verdict.md``; a test asserts that it was done.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent.classifier.combine import (
    CHEAP_CAP,
    CHEAP_SHARE,
    DISPUTABLE,
    PRIOR_CONFIDENCE,
    UNDECIDED,
)
from agent.classifier.findings import CATALOGUE
from agent.classifier.hysteresis import HOLD, PASSES, YOUNG
from agent.classifier.judge import SURE
from agent.classifier.reliability import CASES, TABLES
from agent.classifier.table import RULES
from agent.model import Axis

if TYPE_CHECKING:
    from collections.abc import Iterator

_AXES = {
    Axis.INIT: "What the first process is: a service manager, a supervisor, a reaper, a shell that "
    "waits, the program itself, or something that only keeps the container alive. It is recognised "
    "by its binary, by what it has started and by the cgroups that it manages, not by its name "
    "alone: an init that has started nothing, in a network where nothing listens, says nothing "
    "yet.",
    Axis.SERVICES: "How many unrelated services run, and which of them are operating system "
    "services. This axis decides.",
    Axis.USERS: "As which users programs run, and whether users are logged in through a login "
    "service of the container. What an engine's exec started does not count.",
    Axis.FILESYSTEM: "The root filesystem: a complete system or an application, layers of an image "
    "or a disk of its own, updated in place or not.",
    Axis.NETWORK: "A network of its own with logins, several ports and a firewall, or forwarded "
    "ports, or the network of the host or of another container.",
    Axis.PROVENANCE: "Where it comes from: the engine, an image, an orchestrator, an operating "
    "system template.",
    Axis.LIFECYCLE: "How it is maintained: replaced with every build, or kept, restarted and "
    "repaired.",
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
            disputable=DISPUTABLE,
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
        "Positive weights speak for system, negative ones for app. *Cheap* marks evidence that is "
        "cheap to forge."
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
        "A finding is a practice to know of (*information*), to improve (*advice*) or to be warned "
        "of (*warning*). `tallyman explain` and `tallyman_container_finding{finding=…,severity=…}` "
        "show all; `tallyman ls` and the page list warnings, and the dashboards count them; "
        "`tallyman ls --findings=advice` lists advice."
    )
    for kind in CATALOGUE:
        yield ""
        yield f"### `{kind.name}`: {kind.title[0].lower()}{kind.title[1:]}"
        yield ""
        yield f"*{kind.severity.value.capitalize()}.* {kind.means} {kind.matters}"
        yield ""
        yield f"**What to do:** {kind.advice}"
    yield ""
    yield from _LIMITS.strip().splitlines()
    yield ""
    yield from (
        _RELIABILITY.strip().format(cases=CASES, sure=SURE, disputable=DISPUTABLE).splitlines()
    )
    yield ""
    yield from TABLES.strip().splitlines()
    yield ""
    yield from _HELD_OUT.strip().splitlines()


_INTRODUCTION = """
# The verdict: app-style or system-style

This page is generated from the rules and findings: do not edit it (`python -m
agent.classifier.manual`).

## Two ideas

The word *container* covers two ideas. Docker's is to package **one application** with its files as
an image, run it, replace it, let an orchestrator place it. That of OpenVZ, LXC and nspawn is to
partition one Linux kernel into **small servers** with their own init, services, users, filesystem
and network, which are administered like servers. The engine does not tell which one you have: some
run systemd, sshd and cron in Docker, and single programs in LXC. Tallyman judges a container by
what it does.

- **App-style**: it exists to run one application. That may be many processes (a master and its
  workers, the daemons of postfix or dovecot), with a reaper or a shell as first process. A sidecar,
  a job, a build step and a container engine in a container are app-style too.
- **System-style**: it is a small server: a service manager or supervisor over unrelated services,
  or at least two independent services of which one is an operating system service (sshd, cron,
  syslog, dbus, getty, udev, logind).

**Housekeeping** is what cron, syslog and the programs that maintain a machine (dbus, a time server,
haveged, fail2ban) do. It does not turn an application into a server: beside **one** application,
under a script, a reaper or a supervisor, they are that application's own, whichever cron it is
(busybox or another). It takes an init that booted, a login service or a second unrelated
application to make a server of them, or a syslog that takes messages from other hosts. Such a
verdict is app and never sure: its confidence is at most {disputable}. An all-in-one (a groupware,
an office server with its database, queue and cache, a monitoring server with a resolver) is one
application, and so is a forge (a server for git repositories) with its sshd, which serves the
repositories and gives no shell. The two differ by who logs in and gets what: an sshd whose rules
force a command, or let in only accounts without a shell, or ask a program for the keys of the few
accounts that may log in, belongs to its application. A panel that rents out hosting gives many
people mail, web space, FTP and name service: unrelated applications, so a server.

A product of which nobody has heard may be such a forge, too, though no rule of its sshd tells. So
an sshd beside one product (somebody's own code, or what is below its maker's prefix), beside what
gives out files (FTP, rsync), or with accounts that have no shell, makes a server only where people
are known to log in: they are at a shell or have left programs running, root or an account has a
password, two accounts or more have a shell, one program runs as several of them, or cron runs the
jobs of two. Accounts as which the product runs, or that come with a base image, are nobody's. Else
it stays open. What a distribution has (nginx, a database) brings no sshd: beside it, one is for
people.

What cron runs is read from its tables and stands in the sentence: run-parts, logrotate, the
product's own programs. A container can write its own tables, as it can write the rules of its sshd.
So both only take certainty away: neither makes a verdict sure. Jobs of two people or more, which no
product needs, make the style `unknown`; jobs of one such account may be the product's.

One sshd or one cron alone is app. Supervisord over nginx and php-fpm, the parts of one web
application, is app; a database, a web server, sshd and cron under runit are system. A freshly
booted idle system is system. systemd and journald over one application, without getty, sshd or
cron, is app, with low confidence and a finding. A shell or `sleep infinity` alone is app.

## How a process tree is read

Whatever starts and holds other processes is peeled off from the top: a service manager, a
supervisor, a reaper, su, a shell that waits, a `sleep` that keeps the container alive. An unknown
program is a supervisor when it holds services of two families. Each subtree below is one program,
however many processes it has; programs of one family (the master, qmgr and pickup of postfix) are
one service. Children of sshd and of login are sessions of users, children of cron are jobs, and
what an engine's exec started is part of no service.

Programs are parts of one application when one of them runs its code (php-fpm, gunicorn, an unknown
binary): that program, the web servers before it, up to two stores and a queue behind it, exporters
and log shippers. Without such a program, a web server and a database are unrelated; a mail server,
a git server or a monitoring server may keep its data in a database, apache, which runs code itself,
too, and any application in one that nobody outside can reach. A mail server, a name server,
monitoring and the like are one application with the web application beside them, which is then
their pages; Samba's domain controller is one with its name server. A resolver (dnsmasq, unbound), a
container engine, a mail server that nobody outside can reach, and one on which nobody reads mail
(postfix alone) beside more than a web server serve what runs beside them.
What was installed as one product (all of it below `/opt/forge`, its own sshd and cron too) is one
application; in the store of Nix or Guix each path is only a package.

A program that only holds another one is peeled off by name (pidproxy, chpst, setuidgid, gosu,
cgexec, nice, timeout, flock, env, …) or by what it does: its only child is a service that its
arguments name.

A process is identified by its binary (`/proc/<pid>/exe`) **and** its arguments. Where they
disagree, the binary is believed, at half weight. A multi-call binary (busybox), an interpreter or
an emulator is identified by its arguments, at half weight: one such service decides nothing alone.
A title such as `sshd: …` on a Python process counts nothing, and an sshd in a network where nothing
listens counts half. So does what serves other programs or maintains the machine (dbus, a time
server, haveged, smartd): the dbus of a desktop or of avahi does not make a container a server.

A name is not enough: an sshd has a socket open, a cron its spool or its pid file, a syslog a socket
or the kernel's messages, a getty a terminal, a systemd its event loop, a supervisor the pipes and
fifos of its services. What has nothing of the kind is a copy of something else, and is taken for a
process that waits. Where the descriptors cannot be read, it is rejected only if its path
(`/opt/r/sshd`) and its arguments (`sshd 86400`) both contradict it. A renamed program that opens a
socket is not detected.

## How evidence adds up

Each rule that applies is one piece of evidence, with a weight: the natural logarithm of the odds,
as in naive Bayes, so +0.7 doubles the odds that it is a small server and -0.7 halves them. The
weights are added up; the **score** is `tanh(sum / 2)`, from -1 (app) to +1 (system), and its sign
is the **style**. Each axis has a score of its own, from its own evidence. A piece of evidence never
moves a score against its sign.

Evidence that is **cheap to forge** from inside the container (files that merely exist, hostnames,
labels) counts together at most {cap}, and at most {share} of what the rest adds up to: it never
decides a verdict.

The **confidence** is the size of the score, lowered by evidence that disagrees (by the share of all
weights that does) and by what could not be read (by half of the share of processes whose binary
could not be read). It runs from 0, a coin toss, to 1. From {sure} on a verdict is called sure, and
it is a mismatch if it differs from what the engine is made for, or was told to run. For a container
that was never seen running there is only a prior: its confidence is at most {prior}. The style is
`unknown` when the score lies within {undecided} of 0, when nothing is known, while the first
process is still the runtime of the engine, and while an init has started nothing (if the engine
boots whole systems, the prior is taken until then).

Where the definitions leave room for another reading, no verdict is sure (at most {disputable}),
and no finding rests on it: for an application with its housekeeping beside it, for one whose sshd
has a configuration of its own or gives no shell, and for an sshd with nothing but its syslog or
cron and fail2ban (a jump host, or a server that runs nothing yet).

Where two readings are both fair, the style is `unknown`, with a confidence of 0, and
`tallyman explain` names the question that nobody can answer from outside: a file server (FTP, say)
beside one web site or product, which may serve to fill it or be for people's own files; cron's jobs
of several people beside one application; an sshd and a cron that were started together, which may
keep backups or let people in; a user at work in an sshd's container who has also left programs
running; one product with an sshd, which may be its own; an inetd beside one application, in a
network that was not read; something unknown that listens for logins beside other programs.

A container is judged again whenever something changed. In the first {young} seconds of a container
its style may change at once. After that, another style must hold for {hold} seconds and be seen in
{passes} passes. Then the change is counted (`tallyman_container_style_changes_total`) and logged
with the evidence for it. A single pass (`tallyman ls`) gives the style that the daemon arrives at
for what runs: hysteresis only delays a change. A stopped container keeps the last verdict that the
daemon gave it; `tallyman ls`, which has not seen it run, has only a prior.

A rule of the configuration can set the style (by engine, name, image, label). It is shown as
evidence; the score is then at its end of the scale and the confidence 1.
"""

_LIMITS = """
## Limits

- Program names come from a list. A program that is not in it is taken for the code of an
  application: several of them in one container are taken for parts of one application.
- A binary that someone put at `/usr/sbin/sshd` in a container and runs there is believed. It takes
  two of them, or one beside another service, and an open port, to pass for a server.
- Without permission to read `/proc/<pid>/exe`, programs are identified by their arguments at half
  weight, and verdicts have less confidence; `tallyman check` says what is missing.
- An application with a login service of its own is seldom known to be one: only if it is a known
  forge, was installed with that service as one product, or the rules of its sshd give no shell. A
  product is `unknown` otherwise, unless people are known to log in. An application that a
  distribution has counts as system-style; where its sshd has a configuration of its own, no verdict
  is sure, and there is no finding. Keys that let people in (`authorized_keys`) are not read.
- systemd-cron leaves no process: while none of its jobs runs, systemd with it over one application
  looks like systemd without a cron.
- Of an sshd's rules only those that hold for everybody count, not those of a `Match` block for
  some; what it was given by `-o` is not read, nor how dropbear was built.
"""

_RELIABILITY = """
## Reliability

The corpus (`tests/corpus/`) holds {cases} containers, each labelled by the definitions above before
it was judged for the first time; `make.py` there creates and captures them. They were chosen to be
difficult, so that the share of each kind says nothing about the hosts of others. The rules were
revised after each round, and 15 labels followed when the definition of housekeeping was sharpened;
three more (a server of one product with an sshd) are since then not sure.

**What the confidence means.** A verdict with confidence c claims to be right in (1 + c) / 2 of all
cases: 0 is a coin toss, and from {sure} on, where it is called sure, it claims three in four or
more. {sure} is a threshold first: only sure verdicts count as a mismatch or lead to a warning. So
the definition holds verdicts below it (at most {disputable}) where it leaves room for another
reading, as for an application with its own cron, however plain the evidence is. There the number
says how much room there is, and not how often the verdict is wrong: these verdicts claim what the
threshold allows, the evidence alone would claim more, and nearly all are right. The table has them
in a row of their own. To let them claim what they keep would make them sure, which the definition
rules out.

In the tables, what is `unknown` is counted apart and is neither right nor wrong; in brackets is
what such a number of containers can tell of the share (Wilson's, 95 %). An engine or a kind of
which there are ten tells little.
"""

_HELD_OUT = """
**On containers that the rules have not seen** verdicts are right less often: the tables above are
of those on which the rules were revised. How much less is told by three draws of hard containers,
in the main products with an sshd and servers made by hand, each labelled before it was built and
judged, with the rules as they were then; after each draw they were revised. (Four of the first draw
were built again, as a program in them had not started.)

| draw | containers | sure | claim | right | not sure | claim | right | `unknown` |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| first | 46 | 32 | 90 % | 72 % (55 to 84) | 11 | 71 % | 64 % (35 to 85) | 3 |
| second | 27 | 15 | 89 % | 73 % (48 to 89) | 4 | 70 % | 100 % (51 to 100) | 8 |
| third | 14 | 7 | 87 % | 86 % (49 to 97) | 2 | 71 % | 100 % (34 to 100) | 5 |
| all | 87 | 54 | 90 % | 74 % (61 to 84) | 17 | 71 % | 76 % (53 to 90) | 16 |

So verdicts that are not sure were right about as often as they claim, as far as 17 can tell, and
sure ones less often than they claim, where containers are chosen to mislead. A recalibration fitted
on the other 570 containers, where each verdict with a style was right, would let every verdict
claim 100 %, which these draws refute. So the confidence is not recalibrated: it claims less than
the corpus would allow, because the corpus has taught the rules.
"""


if __name__ == "__main__":
    sys.stdout.write(render())
