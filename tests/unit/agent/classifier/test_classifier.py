"""The settled cases of the design, and what is known to fool a judge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.classifier import (
    CATALOGUE,
    RULES,
    expected_style,
    is_mismatch,
)
from agent.classifier.manual import render
from agent.model import Style, Subject, Verdict
from agent.patterns import Override
from collectors.facts import ImageFacts, Isolation, Limits, Listener, NetworkFacts, RootFacts
from tests.support import CLONE
from tests.support.subjects import (
    CRON,
    GETTY,
    JOURNALD,
    NGINX,
    NOW,
    PHP,
    POSTGRES,
    REDIS,
    SSHD,
    SYSLOG,
    Node,
    booted,
    claims,
    findings_of,
    run,
    subject,
    verdict_of,
)

BUSYBOX = "/bin/busybox"


def applet(name: str, *children: Node, **more: Any) -> Node:
    return run(f"{BUSYBOX} {name}", *children, **more)


def session(*inside: Node, user: int = 1001) -> Node:
    """A login over ssh: the privileged half, the user's half, a shell at a pty."""
    shell = run("bash", *inside, args="-l", uid=user, tty=34816, own=True)
    half = claims("/usr/sbin/sshd", "sshd: ann@pts/0", uid=user)
    return Node(
        "/usr/sbin/sshd",
        ("sshd: ann [priv]",),
        (Node(half.exe, half.argv, (shell,), half.more),),
        {"own": True},
    )


APPS = {
    "one program": subject(REDIS),
    "master and workers": subject(NGINX),
    "helper daemons of one package": subject(
        run(
            "/usr/lib/postfix/sbin/master",
            run("/usr/lib/postfix/sbin/qmgr qmgr", uid=105),
            run("/usr/lib/postfix/sbin/pickup pickup", uid=105),
        )
    ),
    "under a reaper": subject(run("tini", NGINX)),
    "under a shell that waits": subject(run("sh", NGINX, args="/entrypoint.sh")),
    "under a shell, with a tail of its log": subject(
        run("sh", NGINX, run("tail"), args="-c nginx;tail")
    ),
    "sshd alone": subject(SSHD),
    "cron alone": subject(CRON),
    "cron alone with a job": subject(
        run("cron", run("cron", run("sh", run("python"), args="-c job"))), engine="lxc"
    ),
    "sleep alone": subject(run("sleep", args="infinity")),
    "sleep alone in lxc": subject(run("sleep", args="infinity"), engine="lxc"),
    "a shell": subject(run("bash", tty=34816)),
    "a shell in lxc": subject(run("bash", tty=34816), engine="lxc"),
    "a shell with somebody's programs": subject(
        run("bash", run("/usr/bin/vim", tty=34816), run("python", tty=34816), tty=34816)
    ),
    "web server and php under supervisord": subject(run("supervisord", NGINX, PHP)),
    "web server, code and its stores under supervisord": subject(
        run("supervisord", NGINX, run("python", args="/app/web.py"), REDIS, POSTGRES)
    ),
    "one product's parts under runit": subject(
        run(
            "runsvdir",
            run("runsv", run("/opt/forge/bin/nginx")),
            run("runsv", run("/opt/forge/bin/redis-server")),
            run("runsv", run("/opt/forge/bin/postgres", uid=103)),
            run("runsv", run("python", args="/opt/forge/queue.py")),
            run("runsv", run("/opt/forge/bin/prometheus")),
        )
    ),
    "a whole application and the one store behind it, under supervisord": subject(
        run("supervisord", run("/usr/sbin/dovecot"), run("/usr/bin/rspamd"), REDIS)
    ),
    "an engine's exec": subject(NGINX, entered_from_outside=(run("bash", tty=34816), SSHD, CRON)),
    "an engine's exec in a container that only waits": subject(
        run("sleep", args="infinity"), entered_from_outside=(NGINX, SSHD, CRON)
    ),
    "one visitor of an sftp image": subject(run("sshd", session(), args="-D")),
    "an engine in a container": subject(
        run("/usr/bin/dockerd", run("/usr/bin/containerd")),
        run("/usr/bin/containerd-shim-runc-v2"),
    ),
    "a pod's pause": subject(run("/pause"), role="infra", engine="containerd"),
    "names in argv alone": subject(
        run(
            "sh",
            claims("/usr/bin/sleep", "/usr/sbin/sshd"),
            claims("/usr/bin/sleep", "/usr/sbin/cron"),
            claims("/usr/bin/sleep", "/usr/sbin/rsyslogd"),
            args="-c x",
        )
    ),
    "an init in argv alone": subject(claims("/usr/bin/sleep", "/sbin/init")),
    "one binary under many names": subject(
        Node(
            "/pause",
            ("/sbin/init",),
            tuple(claims("/pause", f"/usr/sbin/{n}") for n in ("sshd", "cron", "rsyslogd")),
            {},
        )
    ),
    "titles of an interpreter": subject(
        run(
            "sh",
            claims("/usr/bin/python3.11", "sshd: /usr/sbin/sshd -D [listener]"),
            claims("/usr/bin/python3.11", "/usr/sbin/cron"),
            args="-c x",
        )
    ),
    "a job that loops": subject(run("sh", run("sleep"), args="-c loop")),
    "a build": subject(run("sh", run("/usr/bin/make", run("/usr/bin/gcc")), args="-c make")),
    "one program in lxc": subject(REDIS, engine="lxc"),
    "one program in openvz": subject(NGINX, engine="openvz"),
    "one application's workers of several programs": subject(
        run("tini", run("python", run("python"), run("/usr/bin/ffmpeg"), args="/app/main.py"))
    ),
    "a binary that nobody knows": subject(run("/app/server")),
}

SYSTEMS = {
    "systemd over everything": subject(
        booted(JOURNALD, run("logind"), run("dbus", uid=100), SSHD, CRON, SYSLOG, NGINX)
    ),
    "an idle system": subject(booted(JOURNALD, run("logind"), run("dbus", uid=100))),
    "an idle system with nothing but its journal": subject(booted(JOURNALD)),
    "an idle system in lxc": subject(booted(JOURNALD, GETTY), engine="lxc"),
    "systemd with a getty and one application": subject(booted(JOURNALD, GETTY, REDIS)),
    "database, web server, sshd and cron under runit": subject(
        run("runsvdir", *(run("runsv", s) for s in (POSTGRES, NGINX, SSHD, CRON)))
    ),
    "database, web server, sshd and cron under supervisord": subject(
        run("supervisord", POSTGRES, NGINX, SSHD, CRON)
    ),
    "services beside a first process that waits": subject(
        run("sleep", args="infinity"), SSHD, CRON, NGINX
    ),
    "services beside tail": subject(run("tail", args="-f /dev/null"), SSHD, SYSLOG),
    "sshd and one application": subject(run("sh", args="-c x"), SSHD, NGINX),
    "cron and one application": subject(run("sh", args="-c x"), CRON, REDIS),
    "a program that adopted sshd and cron": subject(NGINX, SSHD, CRON),
    "a program that holds services": subject(run("python", SSHD, CRON, NGINX, args="/start.py")),
    "busybox init with services": subject(
        applet("init", applet("syslogd"), applet("crond"), applet("httpd"), applet("telnetd"))
    ),
    "busybox services under a script": subject(
        run(
            f"{BUSYBOX} sh /start",
            *(applet(a) for a in ("syslogd", "crond", "httpd", "telnetd")),
        )
    ),
    "openrc on alpine": subject(
        applet("/sbin/init", applet("crond"), applet("syslogd"), applet("getty", tty=1025), SSHD)
    ),
    "sysvinit": subject(run("/usr/sbin/init init [2]", SSHD, CRON, SYSLOG, GETTY, NGINX)),
}


@pytest.mark.parametrize("name", APPS)
def test_an_application_is_one(name: str) -> None:
    verdict = verdict_of(APPS[name])
    assert verdict.style is Style.APP, _told(verdict)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_small_server_is_one(name: str) -> None:
    verdict = verdict_of(SYSTEMS[name])
    assert verdict.style is Style.SYSTEM, _told(verdict)


def _told(verdict: Verdict) -> str:
    return "\n".join(f"{e.weight:+.2f} {e.rule}: {e.sentence}" for e in verdict.evidence)


@pytest.mark.parametrize("engine", ["docker", "lxc", "none"])
def test_systemd_over_one_application_is_app_and_not_sure(engine: str) -> None:
    found = subject(booted(JOURNALD, NGINX), engine=engine)
    verdict = verdict_of(found)
    assert verdict.style is Style.APP, _told(verdict)
    assert verdict.confidence < 0.5
    assert "single_app_in_system_container" in findings_of(found)


@pytest.mark.parametrize(
    "argv0", ["/usr/sbin/sshd", "sshd: /usr/sbin/sshd -D", "/sbin/init", "/usr/sbin/cron"]
)
@pytest.mark.parametrize("exe", ["/usr/bin/sleep", "/usr/bin/python3.11", "/app/server"])
def test_a_name_in_argv_moves_nothing(exe: str, argv0: str) -> None:
    honest = subject(run("sh", run(exe), run(exe), args="-c x"))
    forged = subject(run("sh", claims(exe, argv0), claims(exe, argv0, "x"), args="-c x"))
    assert verdict_of(forged).score <= max(verdict_of(honest).score, -0.5)


def test_half_a_name_wants_company() -> None:
    one = verdict_of(subject(run("sh", NGINX, applet("crond"), args="-c x")))
    two = verdict_of(subject(run("sh", NGINX, applet("crond"), applet("syslogd"), args="-c x")))
    assert one.style is Style.APP
    assert two.style is Style.SYSTEM


HEARD = NetworkFacts(listeners=(Listener(protocol="tcp", address="0.0.0.0", port=80),))


@pytest.mark.parametrize("exe", ["/sbin/init", "/usr/lib/systemd/systemd"])
@pytest.mark.parametrize("engine", ["docker", "runc", "none"])
def test_an_init_that_started_nothing_says_nothing(exe: str, engine: str) -> None:
    for tree in (run(exe), run(exe, run(exe))):  # a generator is not yet what it forks for
        verdict = verdict_of(subject(tree, engine=engine))
        assert verdict.style is Style.UNKNOWN
        assert any("started nothing" in sentence for sentence in verdict.unseen)
    assert verdict_of(subject(run(exe), engine="lxc")).style is Style.SYSTEM  # a prior


def test_a_booting_systemd_is_one_by_its_generators() -> None:
    generator = run("/usr/lib/systemd/system-generators/systemd-fstab-generator")
    executor = run("/usr/lib/systemd/systemd (sd-executor)", generator)
    assert verdict_of(subject(run("systemd", executor))).style is Style.SYSTEM


def test_an_init_by_name_alone_is_a_program() -> None:
    for alone, network in (
        (run("/init"), None),
        (run("/app/server /sbin/init"), None),
        (run("/sbin/init"), HEARD),  # whoever serves the network is no init that waits
    ):
        verdict = verdict_of(replace(subject(alone), network=network))
        assert verdict.style is Style.APP, alone
        assert verdict.confidence > 0.5
    assert verdict_of(replace(subject(run("/sbin/init"), network="host"), network=HEARD)).style is (
        Style.UNKNOWN
    )


def test_a_zombie_hides_nothing() -> None:
    dead = Node(None, (), (), {"state": "Z"})
    verdict = verdict_of(subject(run("redis", dead)))
    assert verdict.confidence == verdict_of(subject(REDIS)).confidence
    assert not any("binaries" in sentence for sentence in verdict.unseen)


def test_the_evidence_names_what_runs() -> None:
    postfix = run("/usr/lib/postfix/sbin/master", run("/usr/lib/postfix/sbin/qmgr qmgr", uid=105))
    mail = verdict_of(subject(run("supervisord", postfix, run("/usr/sbin/dovecot"))))
    assert mail.style is Style.APP
    assert any("dovecot+postfix/master" in e.sentence for e in mail.evidence)
    renamed = verdict_of(subject(run("/opt/a/remote"), run("/opt/b/timer"), run("nginx")))
    names = next(e.sentence for e in renamed.evidence if e.rule.startswith("services."))
    assert all(name in names for name in ("nginx", "remote", "timer")), names


@pytest.mark.parametrize(
    "exe",
    [
        *("/usr/sbin/haveged", "/usr/sbin/smartd", "/sbin/multipathd", "/usr/sbin/automount"),
        *("/usr/libexec/bluetooth/bluetoothd", "/usr/libexec/udisks2/udisksd", "/usr/sbin/lldpd"),
        *("/usr/bin/python3 python3 -u /usr/sbin/waagent -daemon", "/usr/sbin/qemu-ga"),
    ],
)
def test_what_tends_a_machine_is_a_systems_and_decides_nothing_alone(exe: str) -> None:
    beside = verdict_of(subject(run("sh", NGINX, run(exe), args="-c x")))
    assert beside.style is Style.APP
    assert "services.operating_system" in {e.rule for e in beside.evidence}
    assert verdict_of(subject(run(exe))).style is Style.APP
    idle = verdict_of(subject(booted(JOURNALD, run(exe)), engine="lxc"))
    assert idle.style is Style.SYSTEM


def test_an_sshd_that_nobody_can_reach_counts_half() -> None:
    tree = subject(run("sh", SSHD, NGINX, args="-c x"))
    reachable = NetworkFacts(listeners=(Listener(protocol="tcp", address="0.0.0.0", port=22),))
    heard = verdict_of(replace(tree, network=reachable))
    unheard = verdict_of(replace(tree, network=NetworkFacts()))
    assert unheard.score < heard.score
    assert unheard.style is Style.APP


def test_people_who_live_in_it_turn_it_and_a_visitor_does_not() -> None:
    stays = run("tmux", run("bash", tty=34817, uid=1001), uid=1001, own=True)
    other = run("tmux", run("bash", tty=34818, uid=1002), uid=1002, own=True)
    lived_in = subject(run("sshd", session(), session(user=1002), args="-D"), stays, other)
    assert verdict_of(lived_in).style is Style.SYSTEM
    assert verdict_of(subject(run("sshd", session(), args="-D"))).style is Style.APP


def test_what_a_first_process_adopted_is_told_from_what_people_left() -> None:
    supervisor = run("supervisord", NGINX)
    assert verdict_of(subject(SSHD, supervisor)).style is Style.SYSTEM
    bot = run("python", uid=1001, args="bot.py")
    left = subject(run("sshd", replace(bot, more={"uid": 1001, "session": 77}), args="-D"))
    assert "users.residents" in {e.rule for e in verdict_of(left).evidence}
    assert verdict_of(left).style is Style.APP
    started_before = subject(run("sshd", run("/app/server"), args="-D"))
    assert verdict_of(started_before).style is Style.SYSTEM
    assert verdict_of(subject(CRON, SSHD, NGINX)).services == 3


def test_servers_that_were_started_before_the_first_process_count() -> None:
    before = run("nginx", REDIS, run("nginx", uid=33))
    assert verdict_of(subject(before)).services == 2


def test_a_wrapper_called_init_is_none() -> None:
    for argv in ("/init", "/dev/init -- sshd -D", "/sbin/init -- sshd"):
        verdict = verdict_of(subject(run(f"{argv.split(' ', maxsplit=1)[0]} {argv}", SSHD)))
        assert verdict.style is Style.APP, argv


def test_what_runs_in_the_windows_of_a_script_s_tmux_is_services() -> None:
    windows = run("tmux", SSHD, CRON, NGINX, own=True)
    verdict = verdict_of(subject(run("sleep", args="infinity"), windows))
    assert (verdict.style, verdict.services) == (Style.SYSTEM, 3)


def test_a_program_in_screen_is_a_program() -> None:
    game = run("/usr/bin/screen", run("/usr/bin/java", args="-jar server.jar"))
    for tree in (game, run("sh", game, args="-c x")):
        verdict = verdict_of(subject(tree))
        assert verdict.style is Style.APP
        assert verdict.services == 1


def test_what_only_starts_has_no_verdict() -> None:
    verdict = verdict_of(subject(run("/usr/bin/runc", args="init")))
    assert verdict.style is Style.UNKNOWN
    assert verdict.unseen


def test_what_nobody_knows_anything_of_has_no_verdict() -> None:
    verdict = verdict_of(subject(None, engine="none"))
    assert verdict.style is Style.UNKNOWN
    assert verdict.confidence == 0
    assert verdict.services is None
    assert any("processes" in sentence for sentence in verdict.unseen)


@pytest.mark.parametrize(
    ("engine", "command", "style"),
    [
        ("docker", ("nginx",), Style.APP),
        ("docker", (), Style.APP),
        ("docker", ("/sbin/init",), Style.SYSTEM),
        ("lxc", (), Style.SYSTEM),
        ("openvz", (), Style.SYSTEM),
        ("lxc", ("/usr/bin/redis-server",), Style.UNKNOWN),
    ],
)
def test_what_never_ran_is_judged_by_what_its_engine_knows(
    engine: str, command: tuple[str, ...], style: Style
) -> None:
    verdict = verdict_of(subject(None, engine=engine, command=command))
    assert verdict.style is style
    assert verdict.confidence <= 0.35


def test_seeing_no_binaries_is_being_less_sure() -> None:
    def blind(found: Subject) -> Subject:
        return replace(found, processes=tuple(replace(p, exe=None) for p in found.processes))

    for found in (APPS["master and workers"], SYSTEMS["systemd over everything"]):
        sighted, unsighted = verdict_of(found), verdict_of(blind(found))
        assert unsighted.style is sighted.style
        assert unsighted.confidence < sighted.confidence
        assert any("binaries" in sentence for sentence in unsighted.unseen)


def test_two_applications_without_a_supervisor_are_app_with_a_finding() -> None:
    found = subject(run("sh", NGINX, REDIS, args="-c x"))
    assert verdict_of(found).style is Style.APP
    assert "several_applications" in findings_of(found)


def test_many_unrelated_services_under_a_supervisor_are_a_server() -> None:
    mail = run("/usr/lib/postfix/sbin/master")
    assert verdict_of(subject(run("supervisord", NGINX, POSTGRES, mail))).style is Style.SYSTEM


def test_the_numbers_that_the_axes_were_judged_from() -> None:
    found = subject(run("sh", SSHD, CRON, NGINX, REDIS, args="-c x"))
    verdict = verdict_of(found)
    assert verdict.services == 4
    assert verdict.users == 2
    assert verdict.sessions == 0
    assert verdict_of(subject(run("sshd", session(), args="-D"))).sessions == 1
    assert verdict_of(subject(run("sleep"))).services == 0


def test_the_evidence_says_what_it_is_and_where_it_was_read() -> None:
    verdict = verdict_of(SYSTEMS["systemd over everything"])
    told = {e.rule: e for e in verdict.evidence}
    assert "systemd" in told["init.service_manager"].sentence
    assert told["init.service_manager"].source == "/proc/1000/exe"
    assert "sshd" in told["services.operating_system"].sentence
    assert [abs(e.weight) for e in verdict.evidence] == sorted(
        (abs(e.weight) for e in verdict.evidence), reverse=True
    )


@pytest.mark.parametrize(
    ("engine", "boots", "style"),
    [
        ("docker", None, Style.APP),
        ("docker", True, Style.APP),
        ("lxc", None, Style.SYSTEM),
        ("lxc", False, Style.SYSTEM),
        ("nspawn", True, Style.SYSTEM),
        ("nspawn", False, Style.APP),
        ("nspawn", None, Style.UNKNOWN),
        ("openvz", None, Style.SYSTEM),
        ("none", None, Style.UNKNOWN),
    ],
)
def test_conventions(engine: str, boots: bool | None, style: Style) -> None:
    assert expected_style(engine, boots) is style


def test_a_mismatch_is_sure_and_differs() -> None:
    server = verdict_of(SYSTEMS["systemd over everything"])
    assert is_mismatch(server, Style.APP)
    assert not is_mismatch(server, Style.SYSTEM)
    assert not is_mismatch(server, Style.UNKNOWN)
    unsure = verdict_of(subject(booted(JOURNALD, NGINX), engine="lxc"))
    assert not is_mismatch(unsure, Style.SYSTEM)


class TestOverride:
    def test_sets_the_style_and_says_so(self) -> None:
        rule = Override(style=Style.SYSTEM, engine="docker", name="web*")
        verdict = verdict_of(replaced(NGINX, name="web01"), (rule,))
        assert (verdict.style, verdict.score, verdict.confidence) == (Style.SYSTEM, 1.0, 1.0)
        assert verdict.override == "engine=docker name=web*"
        assert verdict.evidence[0].rule == "override"
        assert "services.one" in {e.rule for e in verdict.evidence}

    @pytest.mark.parametrize(
        "rule",
        [
            Override(style=Style.SYSTEM, engine="podman"),
            Override(style=Style.SYSTEM, name="Web*"),
            Override(style=Style.SYSTEM, image="*:2"),
            Override(style=Style.SYSTEM, labels={"kind": "*"}),
            Override(style=Style.SYSTEM, labels={"role": "db"}),
            Override(style=Style.SYSTEM, name="web01", labels={"role": "db"}),
        ],
    )
    def test_one_that_does_not_match_changes_nothing(self, rule: Override) -> None:
        found = replaced(NGINX, name="web01", image="nginx:1", labels={"role": "web"})
        assert verdict_of(found, (rule,)) == verdict_of(found)

    def test_the_first_that_matches_counts(self) -> None:
        rules = (
            Override(style=Style.UNKNOWN, name="x"),
            Override(style=Style.SYSTEM, labels={"role": "w?b"}),
            Override(style=Style.APP),
        )
        assert verdict_of(replaced(NGINX, labels={"role": "web"}), rules).style is Style.SYSTEM
        assert verdict_of(replaced(NGINX), rules).override == "every container"


def replaced(tree: Node, **container: Any) -> Subject:
    return subject(tree, **container)


CALM: dict[str, Any] = {
    "limits": Limits(memory_bytes=1 << 30, seen=frozenset({"memory", "cpu", "pids"}))
}


class TestFindings:
    def test_an_ordinary_application_has_none(self) -> None:
        assert findings_of(subject(NGINX, **CALM)) == set()

    def test_a_server_in_an_application_engine(self) -> None:
        assert "docker_as_vm" in findings_of(SYSTEMS["systemd over everything"])
        assert "docker_as_vm" not in findings_of(SYSTEMS["an idle system in lxc"])

    def test_a_single_application_in_a_system_container(self) -> None:
        assert "single_app_in_system_container" in findings_of(APPS["one program in lxc"])
        assert "single_app_in_system_container" not in findings_of(APPS["one program"])
        assert "single_app_in_system_container" not in findings_of(subject(NGINX, engine="nspawn"))

    def test_people_in_an_application(self) -> None:
        assert "logged_into" in findings_of(APPS["an engine's exec"])
        assert "logged_into" in findings_of(APPS["one visitor of an sftp image"])
        assert "logged_into" not in findings_of(APPS["a shell"])

    def test_limits_that_are_known_to_be_missing(self) -> None:
        everything = frozenset({"memory", "cpu", "pids"})
        assert "no_limits" in findings_of(subject(NGINX, limits=Limits(seen=everything)))
        assert "no_limits" not in findings_of(subject(NGINX, **CALM))
        assert "no_limits" not in findings_of(subject(NGINX, limits=Limits()))
        assert "no_limits" not in findings_of(
            subject(run("/pause"), role="infra", limits=Limits(seen=everything))
        )

    @pytest.mark.parametrize(
        ("isolation", "name"),
        [
            (Isolation(privileged=True), "privileged"),
            (Isolation(shared_namespaces=frozenset({"net"})), "shared_host_namespaces"),
            (Isolation(engine_sockets=("/run/docker.sock",)), "engine_socket_inside"),
        ],
    )
    def test_what_is_not_isolated(self, isolation: Isolation, name: str) -> None:
        assert findings_of(subject(NGINX, isolation=isolation, **CALM)) == {name}

    def test_a_server_whose_root_is_the_hosts(self) -> None:
        found = subject(booted(JOURNALD, SSHD), isolation=Isolation(user_mapped=False), **CALM)
        assert "no_user_namespace" in findings_of(found)
        assert "no_user_namespace" not in findings_of(
            subject(NGINX, isolation=Isolation(user_mapped=False), **CALM)
        )

    def test_namespaces_that_everybody_shares_are_no_finding(self) -> None:
        shared = Isolation(shared_namespaces=frozenset({"user", "cgroup", "time"}))
        assert findings_of(subject(NGINX, isolation=shared, **CALM)) == set()

    def test_what_was_changed_since_it_was_made(self) -> None:
        changed = RootFacts(packages_changed=NOW - 100, package_manager="dpkg")
        assert "drifted" in findings_of(replace(subject(NGINX, **CALM), root=changed))
        as_made = RootFacts(packages_changed=NOW - 9000, package_manager="dpkg")
        assert findings_of(replace(subject(NGINX, **CALM), root=as_made)) == set()
        assert "drifted" in findings_of(subject(NGINX, writable_layer_bytes=1 << 30, **CALM))

    def test_what_its_image_is(self) -> None:
        large = ImageFacts(size_bytes=3 << 30, created=NOW - 86400)
        old = ImageFacts(size_bytes=1 << 20, created=NOW - 400 * 86400)
        assert findings_of(subject(NGINX, image_facts=large, **CALM)) == {"bloated_image"}
        assert findings_of(subject(NGINX, image_facts=old, **CALM)) == {"stale_image"}

    def test_every_kind_is_explained(self) -> None:
        assert len({kind.name for kind in CATALOGUE}) == len(CATALOGUE)
        for kind in CATALOGUE:
            assert all((kind.title, kind.means, kind.matters, kind.advice)), kind.name


def test_every_rule_can_be_read_by_people() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.name.startswith(f"{rule.axis}."), rule.name
        assert rule.weight, rule.name
        assert rule.when.endswith("."), rule.name


def test_the_page_about_the_model_is_current() -> None:
    page = CLONE / "docs" / "verdict.md"
    assert page.read_text() == render(), "run: python -m agent.classifier.manual > docs/verdict.md"
