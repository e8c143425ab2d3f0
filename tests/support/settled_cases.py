"""Containers whose style the definitions settle: applications and small servers."""

from __future__ import annotations

from tests.support.subjects import (
    CRON,
    GETTY,
    JOURNALD,
    NGINX,
    PHP,
    POSTGRES,
    REDIS,
    SSHD,
    SYSLOG,
    Node,
    applet,
    booted,
    claims,
    run,
    session,
    subject,
)

APPS = {
    "cron and one application": subject(run("sh", args="-c x"), CRON, REDIS),
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
    "a shell with a user's programs": subject(
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
    "an unknown binary": subject(run("/app/server")),
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
    "a program that adopted sshd and cron": subject(NGINX, SSHD, CRON),
    "a program that holds services": subject(run("python", SSHD, CRON, NGINX, args="/start.py")),
    "busybox init with services": subject(
        applet("init", applet("syslogd"), applet("crond"), applet("httpd"), applet("telnetd"))
    ),
    "busybox services under a script": subject(
        run(
            "/bin/busybox sh /start",
            *(applet(a) for a in ("syslogd", "crond", "httpd", "telnetd")),
        )
    ),
    "openrc on alpine": subject(
        applet("/sbin/init", applet("crond"), applet("syslogd"), applet("getty", tty=1025), SSHD)
    ),
    "sysvinit": subject(run("/usr/sbin/init init [2]", SSHD, CRON, SYSLOG, GETTY, NGINX)),
}
