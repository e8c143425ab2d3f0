"""The containers of the corpus: how each is created, and what it is.

Labels follow the definitions in docs/verdict.md; ``sure=False`` marks those on which people who
know the definitions may differ.
"""

from __future__ import annotations

from dataclasses import dataclass

SYSTEMD = (
    *("--stop-signal", "SIGRTMIN+3", "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"),
    *("-v", "/sys/fs/cgroup:/sys/fs/cgroup:ro"),
)
_MANY = "e-more:lab"
TINY = "busybox:lab"
APPLETS = (
    "for a in $(/bin/busybox --list); do "
    "[ -e /bin/$a ] || /bin/busybox ln -s busybox /bin/$a; done; "
)
SSH = "mkdir -p /run/sshd; "
ADD_GIT = "useradd -m -s /bin/bash git; "
KEYS_OF_GIT = (
    "printf '#!/bin/sh\\n' > /usr/libexec/keys; chmod 755 /usr/libexec/keys; "
    "printf 'AllowUsers git\\nAuthorizedKeysCommand /usr/libexec/keys\\n"
    "AuthorizedKeysCommandUser git\\n' >> /etc/ssh/sshd_config; "
)
"""An sshd that lets in git alone, by the keys that a program gives, as a forge's does."""
GIVES_FILES = (
    "printf 'Match User *\\n ForceCommand internal-sftp\\n ChrootDirectory %%h\\n' "
    ">> /etc/ssh/sshd_config; "
)
"""An sshd that gives files and no shell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One container to create and capture."""

    name: str
    style: str
    about: str
    command: tuple[str, ...] = ()
    sure: bool = True
    engine: str = "docker"
    image: str = "debian:lab"
    options: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    """Shell commands on the host once it runs; ``$NAME`` and ``$PID`` are set."""
    wait: float = 3.0
    findings: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    labelled: str = ""
    """When it got its label, where that was before any verdict on it and is known."""


def sh(script: str) -> tuple[str, ...]:
    """Return the command of a shell that runs a script and stays the first process."""
    return ("sh", "-c", script)


def bash(script: str) -> tuple[str, ...]:
    """Return the same for bash."""
    return ("bash", "-c", script)


def booted(*units: str, mask: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the command that boots systemd with only these units enabled."""
    masked = f"systemctl -q mask {' '.join(mask)};" if mask else ""
    enabled = f"systemctl -q enable {' '.join(units)};" if units else ""
    return sh(f"rm -rf /etc/systemd/system/*.wants; {enabled} {masked} exec /lib/systemd/systemd")


SSH_TO = "ssh -tt -i /root/.ssh/id -o StrictHostKeyChecking=no "


def add_users(*names: str) -> tuple[str, ...]:
    """Return the commands that create accounts to log into with a key."""
    key = 'mkdir -p /root/.ssh; ssh-keygen -qN "" -t ed25519 -f /root/.ssh/id'
    accounts = (
        f"useradd -m -s /bin/bash {name}; mkdir -p /home/{name}/.ssh; "
        f"cp /root/.ssh/id.pub /home/{name}/.ssh/authorized_keys"
        for name in names
    )
    return tuple(f"docker exec $NAME sh -c '{script}'" for script in (key, *accounts))


def log_in(name: str) -> str:
    return f"docker exec -dit $NAME {SSH_TO}{name}@127.0.0.1"


BARE = ("systemd-logind.service", "dbus.service", "dbus.socket", "getty.target")
NO_LOGIN = ("getty.target",)


def supervised(*programs: str) -> tuple[str, ...]:
    """Return the command that runs supervisord over programs, each ``name=command``."""
    sections = "".join(
        f"[program:{p.partition('=')[0]}]\\ncommand={p.partition('=')[2]}\\n" for p in programs
    )
    return sh(
        f"{SSH} printf '[supervisord]\\nnodaemon=true\\nuser=root\\n{sections}' > /etc/s.conf; "
        "exec supervisord -c /etc/s.conf"
    )


def runit(*programs: str, boot: str = "exec runsvdir /etc/sv2") -> tuple[str, ...]:
    """Return the command that runs runit over programs, each ``name=command``."""
    made = "".join(
        f"mkdir -p /etc/sv2/{name}; printf '#!/bin/sh\\nexec {command}\\n' > /etc/sv2/{name}/run; "
        f"chmod +x /etc/sv2/{name}/run; "
        for name, _, command in (p.partition("=") for p in programs)
    )
    return sh(f"{SSH} {made} {boot}")


def s6(*programs: str) -> tuple[str, ...]:
    """Return the command that runs s6 over programs, each ``name=command``."""
    return runit(*programs, boot="exec s6-svscan /etc/sv2")


SSHD = "ssh=/usr/sbin/sshd -D -e"
CRON = "cron=/usr/sbin/cron -f"
NGINX = 'nginx=/usr/sbin/nginx -g "daemon off;"'
REDIS = "redis=/usr/bin/redis-server --port 6400"
PHP = "php=/usr/sbin/php-fpm8.2 -F"
MEMCACHED = "memcached=/usr/bin/memcached -u nobody"
PG = (
    "su postgres -c '/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main "
    "-c config_file=/etc/postgresql/15/main/postgresql.conf'"
)
_NGINX = ("nginx", "-g", "daemon off;")

_APPS = (
    Scenario(name="nginx", style="app", about="nginx, master and workers", command=_NGINX),
    Scenario(name="redis", style="app", about="redis alone", command=("redis-server",)),
    Scenario(
        name="postgres",
        style="app",
        about="PostgreSQL with its helper processes, started through su",
        command=sh(f"mkdir -p /run/postgresql; chown postgres /run/postgresql; exec {PG}"),
    ),
    Scenario(
        name="postfix",
        style="app",
        about="postfix: master, pickup, qmgr",
        command=("postfix", "start-fg"),
    ),
    Scenario(
        name="dovecot", style="app", about="dovecot and its helpers", command=("dovecot", "-F")
    ),
    Scenario(
        name="php-fpm",
        style="app",
        about="php-fpm with a pool",
        command=sh("mkdir -p /run/php; exec php-fpm8.2 -F"),
    ),
    Scenario(
        name="apache",
        style="app",
        about="apache2 in the foreground, prefork",
        command=("apache2ctl", "-D", "FOREGROUND"),
    ),
    Scenario(
        name="memcached", style="app", about="memcached", command=("memcached", "-u", "nobody")
    ),
    Scenario(
        name="sshd-alone",
        style="app",
        about="one sshd alone",
        command=sh(SSH + "exec /usr/sbin/sshd -D"),
    ),
    Scenario(name="cron-alone", style="app", about="one cron alone", command=("cron", "-f")),
    Scenario(
        name="cron-with-job",
        style="app",
        about="cron alone, while its job runs",
        command=sh("echo '* * * * * root sleep 600' > /etc/cron.d/x; exec cron -f"),
        wait=65,
    ),
    Scenario(name="syslog-alone", style="app", about="rsyslog alone", command=("rsyslogd", "-n")),
    Scenario(
        name="sleep", style="app", about="sleep infinity alone", command=("sleep", "infinity")
    ),
    Scenario(name="tail", style="app", about="tail -f alone", command=("tail", "-f", "/dev/null")),
    Scenario(
        name="shell",
        style="app",
        about="a shell at a terminal",
        command=("bash",),
        options=("-it",),
    ),
    Scenario(
        name="shell-tiny",
        style="app",
        about="busybox sh at a terminal",
        command=("sh",),
        options=("-it",),
        image=TINY,
    ),
    Scenario(
        name="init-nginx",
        style="app",
        about="nginx under docker-init",
        command=_NGINX,
        options=("--init",),
    ),
    Scenario(
        name="tini-python",
        style="app",
        about="python under tini",
        command=("tini", "--", "python3", "-m", "http.server", "80"),
    ),
    Scenario(
        name="dumb-init-script",
        style="app",
        about="a script under dumb-init that starts nginx and waits",
        command=("dumb-init", "bash", "-c", "nginx -g 'daemon off;' & wait"),
    ),
    Scenario(
        name="script-nginx",
        style="app",
        about="a script that starts nginx and then waits",
        command=sh("nginx; while :; do sleep 5; done"),
    ),
    Scenario(
        name="script-tail-nginx",
        style="app",
        about="a script that starts nginx and follows its log",
        command=sh("nginx; exec tail -F /var/log/nginx/access.log"),
    ),
    Scenario(
        name="supervisord-web",
        style="app",
        about="supervisord over nginx and php-fpm",
        command=("sh", "-c", "mkdir -p /run/php; " + supervised(NGINX, PHP)[2]),
    ),
    Scenario(
        name="supervisord-one",
        style="app",
        about="supervisord over nginx alone",
        command=supervised(NGINX),
    ),
    Scenario(
        name="supervisord-python",
        style="app",
        about="supervisord over gunicorn, a worker, nginx and redis: one application's parts",
        image=_MANY,
        sure=False,
        command=sh(
            'mkdir -p /app; echo \'def app(e, s): s("200 OK", []); return [b""]\' > /app/web.py; '
            "echo 'import time\nwhile True: time.sleep(9)' > /app/worker.py; "
            + supervised(
                "web=gunicorn --chdir /app -b 127.0.0.1:8000 web:app",
                "worker=python3 /app/worker.py",
                NGINX,
                REDIS,
            )[2]
        ),
    ),
    Scenario(
        name="omnibus",
        style="app",
        about="runit over the parts of one product in /opt: database, cache, web, code",
        command=sh(
            "mkdir -p /run/postgresql; chown postgres /run/postgresql; "
            "mkdir -p /opt/forge/bin /opt/forge/lib; cp /usr/bin/redis-server /usr/sbin/nginx "
            "/usr/lib/postgresql/15/bin/postgres /opt/forge/bin; "
            "echo 'import time\nwhile True: time.sleep(9)' > /opt/forge/lib/forge.py; "
            "echo 'import time\nwhile True: time.sleep(9)' > /opt/forge/lib/queue.py; "
            + runit(
                "redis=/opt/forge/bin/redis-server",
                'nginx=/opt/forge/bin/nginx -g "daemon off;"',
                "forge=python3 /opt/forge/lib/forge.py",
                "queue=python3 /opt/forge/lib/queue.py",
                "db=chpst -u postgres /opt/forge/bin/postgres -D /var/lib/postgresql/15/main "
                "-c config_file=/etc/postgresql/15/main/postgresql.conf",
            )[2]
        ),
    ),
    Scenario(
        name="s6-web",
        style="app",
        about="s6 over nginx and php-fpm",
        image=_MANY,
        command=sh("mkdir -p /run/php; " + s6(NGINX, PHP)[2]),
    ),
    Scenario(
        name="python",
        style="app",
        about="a python web server",
        command=("python3", "-m", "http.server", "8000"),
    ),
    Scenario(
        name="python-workers",
        style="app",
        about="a python program with worker processes",
        command=(
            "python3",
            "-c",
            "import os, time\nfor _ in range(6): os.fork() or time.sleep(999)\ntime.sleep(999)",
        ),
    ),
    Scenario(
        name="gunicorn",
        style="app",
        about="gunicorn with workers",
        image=_MANY,
        command=sh(
            'echo \'def app(e, s): s("200 OK", []); return [b""]\' > /srv/web.py; '
            "exec gunicorn --chdir /srv -w 3 web:app"
        ),
    ),
    Scenario(
        name="node",
        style="app",
        about="a node program",
        image=_MANY,
        command=("node", "-e", "require('http').createServer(() => {}).listen(80)"),
    ),
    Scenario(
        name="mariadb",
        style="app",
        about="MariaDB under its own watching script",
        image=_MANY,
        command=("mysqld_safe",),
        wait=6,
    ),
    Scenario(
        name="haproxy",
        style="app",
        about="haproxy, master and worker",
        image=_MANY,
        command=sh(
            "printf 'frontend f\\n bind :80\\n mode tcp\\n' > /h.cfg; exec haproxy -W -f /h.cfg"
        ),
    ),
    Scenario(
        name="loop-job",
        style="app",
        about="a script that does something again and again",
        command=sh("while :; do date > /dev/null; sleep 1; done"),
    ),
    Scenario(
        name="build-job",
        style="app",
        about="a build: make with compilers below it",
        image=_MANY,
        command=sh(
            "cd /tmp; printf 'all: a b\\na:\\n\\tgcc -x c - < /dev/zero\\n"
            "b:\\n\\tsleep 99\\n' > Makefile; make -j2; sleep 99"
        ),
        wait=1,
    ),
    Scenario(name="ftp", style="app", about="vsftpd alone", command=("vsftpd", "/etc/vsftpd.conf")),
    Scenario(
        name="tiny-httpd",
        style="app",
        about="busybox httpd on a tiny root",
        image=TINY,
        command=("httpd", "-f", "-p", "80"),
    ),
    Scenario(
        name="tiny-crond",
        style="app",
        about="busybox crond alone",
        image=TINY,
        command=sh(APPLETS + "mkdir -p /var/spool/cron/crontabs; exec crond -f"),
    ),
    Scenario(
        name="static",
        style="app",
        about="one static binary and nothing else in the root",
        engine="scratch",
        command=("/app", "infinity"),
    ),
    Scenario(
        name="user",
        style="app",
        about="a program of an ordinary user",
        command=("python3", "-m", "http.server", "8000"),
        options=("--user", "1000:1000"),
    ),
    Scenario(
        name="host-network",
        style="app",
        about="nginx on the host's network",
        command=sh(
            "sed -i s/80/8099/ /etc/nginx/sites-enabled/default; exec nginx -g 'daemon off;'"
        ),
        options=("--network", "host"),
        findings=("shared_host_namespaces",),
    ),
    Scenario(
        name="exec-shell",
        style="app",
        about="nginx, and an engine's exec holds a shell in it",
        command=_NGINX,
        then=("docker exec -dit $NAME bash",),
        findings=("logged_into",),
    ),
    Scenario(
        name="exec-daemons",
        style="app",
        about="nginx, and an engine's exec put sshd and cron into it in the foreground",
        command=_NGINX,
        then=(
            "docker exec $NAME mkdir -p /run/sshd",
            "docker exec -d $NAME /usr/sbin/sshd -D",
            "docker exec -d $NAME cron -f",
        ),
    ),
    Scenario(
        name="exec-in-sleep",
        style="app",
        about="sleep infinity, and an engine's exec runs nginx in it",
        command=("sleep", "infinity"),
        then=("docker exec -d $NAME nginx -g 'daemon off;'",),
    ),
    Scenario(
        name="sftp-visitor",
        style="app",
        about="one sshd, with one visitor logged in",
        image=_MANY,
        command=sh(SSH + "exec /usr/sbin/sshd -D"),
        then=(*add_users("ann"), log_in("ann")),
        wait=4,
    ),
    Scenario(
        name="sidecar",
        style="app",
        about="a log shipper in the network and pid namespaces of another container",
        image=TINY,
        engine="sidecar",
        command=("tail", "-f", "/dev/null"),
    ),
    Scenario(
        name="paused",
        style="app",
        about="nginx, paused",
        command=_NGINX,
        then=("docker pause $NAME",),
    ),
    Scenario(
        name="forged-argv",
        style="app",
        about="sleeps that call themselves sshd, cron, rsyslogd and systemd",
        command=bash(
            "(exec -a /usr/sbin/sshd sleep 9999) & (exec -a /usr/sbin/cron sleep 9999) & "
            "(exec -a /usr/sbin/rsyslogd sleep 9999) & exec -a /sbin/init sleep infinity"
        ),
    ),
    Scenario(
        name="forged-links",
        style="app",
        about="one sleep, linked to the names of sshd, cron and rsyslogd",
        command=sh(
            "cd /usr/sbin; for n in sshd cron rsyslogd; do ln -f /usr/bin/sleep $n; done; "
            "/usr/sbin/sshd 9999 & /usr/sbin/cron 9999 & exec /usr/sbin/rsyslogd 9999"
        ),
    ),
    Scenario(
        name="forged-copies",
        style="app",
        sure=False,
        about="copies of sleep at the places of sshd and cron",
        command=sh(
            "cd /usr/sbin; for n in sshd cron; do rm $n; cp /usr/bin/sleep $n; done; "
            "/usr/sbin/sshd 9999 & exec /usr/sbin/cron 9999"
        ),
    ),
    Scenario(
        name="nginx-half-cron",
        style="app",
        sure=False,
        about="nginx, and a busybox crond beside it",
        command=sh("busybox crond -b -c /tmp; exec nginx -g 'daemon off;'"),
    ),
    Scenario(
        name="forged-title",
        style="app",
        about="python processes that call themselves sshd and cron",
        command=bash(
            "(exec -a 'sshd: /usr/sbin/sshd -D' python3 -c 'import time; time.sleep(9999)') & "
            "(exec -a /usr/sbin/cron python3 -c 'import time; time.sleep(9999)') & "
            "exec -a /usr/sbin/rsyslogd python3 -c 'import time; time.sleep(9999)'"
        ),
    ),
    Scenario(
        name="forged-names",
        style="app",
        about="nginx in a container called like a server, with a server's labels",
        command=_NGINX,
        options=("--hostname", "web01.example.org", "--label", "role=vm", "--label", "os=debian"),
    ),
    Scenario(
        name="two-loose",
        style="app",
        about="a script that starts nginx and redis",
        sure=False,
        command=sh("nginx; exec redis-server"),
        findings=("several_applications",),
    ),
    Scenario(
        name="nginx-no-limits",
        style="app",
        about="nginx with the host's pid and ipc namespaces and the engine's socket",
        command=_NGINX,
        options=("--pid", "host", "--ipc", "host", "-v", "$SOCKET:/var/run/docker.sock"),
        findings=("shared_host_namespaces", "engine_socket_inside", "no_limits"),
    ),
    Scenario(
        name="perl",
        style="app",
        about="a perl daemon that forks children",
        command=("perl", "-e", "fork for 1..2; sleep 1 while 1"),
    ),
    Scenario(
        name="xinetd-alone",
        style="app",
        about="xinetd alone",
        image=_MANY,
        command=("xinetd", "-dontfork"),
    ),
    Scenario(name="dnsmasq", style="app", about="dnsmasq", image=_MANY, command=("dnsmasq", "-k")),
    Scenario(
        name="mosquitto", style="app", about="an MQTT broker", image=_MANY, command=("mosquitto",)
    ),
    Scenario(
        name="systemd-nginx",
        style="app",
        about="systemd and journald over nginx, without getty, sshd or cron",
        command=booted("nginx", mask=BARE),
        options=SYSTEMD,
        findings=("single_app_in_system_container",),
        wait=5,
    ),
    Scenario(
        name="systemd-nginx-dbus",
        style="app",
        about="systemd with dbus and logind over nginx, without getty, sshd or cron",
        sure=False,
        command=booted("nginx", mask=NO_LOGIN),
        options=SYSTEMD,
        findings=("single_app_in_system_container",),
        wait=5,
    ),
)

_SYSTEMS = (
    Scenario(
        name="systemd-full",
        style="system",
        about="systemd with everything that Debian enables",
        command=("/lib/systemd/systemd",),
        options=SYSTEMD,
        findings=("docker_as_vm",),
        wait=8,
    ),
    Scenario(
        name="systemd-idle",
        style="system",
        about="an idle systemd, freshly booted, with its own parts alone",
        command=booted(mask=NO_LOGIN),
        options=SYSTEMD,
        findings=("docker_as_vm",),
        wait=5,
    ),
    Scenario(
        name="systemd-barest",
        style="system",
        about="an idle systemd with nothing but journald",
        command=booted(mask=BARE),
        options=SYSTEMD,
        findings=("docker_as_vm",),
        wait=5,
    ),
    Scenario(
        name="systemd-ssh-cron",
        style="system",
        about="systemd with sshd, cron and rsyslog",
        command=booted("ssh", "cron", "rsyslog"),
        options=SYSTEMD,
        wait=5,
    ),
    Scenario(
        name="systemd-ssh-nginx",
        style="system",
        about="systemd with sshd and nginx",
        command=booted("ssh", "nginx"),
        options=SYSTEMD,
        wait=5,
    ),
    Scenario(
        name="systemd-getty",
        style="system",
        about="systemd with a getty on the console and nginx",
        command=booted("nginx"),
        options=(*SYSTEMD, "-t"),
        wait=6,
    ),
    Scenario(
        name="systemd-three",
        style="system",
        sure=False,
        about="systemd over nginx, memcached and vsftpd, without getty, sshd or cron",
        command=booted("nginx", "memcached", "vsftpd", mask=BARE),
        options=SYSTEMD,
        wait=6,
    ),
    Scenario(
        name="script-server",
        style="system",
        about="a script that starts sshd, cron and rsyslog and sleeps",
        command=sh(SSH + "/usr/sbin/sshd; cron; rsyslogd; sleep infinity"),
        findings=("docker_as_vm",),
    ),
    Scenario(
        name="script-ssh-nginx",
        style="system",
        about="a script that starts sshd and nginx and waits",
        command=sh(SSH + "/usr/sbin/sshd; nginx; sleep infinity"),
    ),
    Scenario(
        name="script-cron-redis",
        style="app",
        sure=False,
        about="a script that starts cron and redis",
        command=sh("cron; redis-server --daemonize yes; while :; do sleep 9; done"),
    ),
    Scenario(
        name="dummy-sleep-server",
        style="system",
        about="sleep infinity as first process, with sshd, cron and nginx beside it",
        command=sh(SSH + "/usr/sbin/sshd; cron; nginx; exec sleep infinity"),
    ),
    Scenario(
        name="dummy-tail-server",
        style="system",
        about="tail -f as first process, with sshd, rsyslog and redis beside it",
        command=sh(
            SSH + "/usr/sbin/sshd; rsyslogd; redis-server --daemonize yes; exec tail -f /dev/null"
        ),
    ),
    Scenario(
        name="nginx-adopts",
        style="system",
        about="nginx as first process, with sshd and cron that its entrypoint started before",
        command=sh(SSH + "/usr/sbin/sshd; cron; exec nginx -g 'daemon off;'"),
    ),
    Scenario(
        name="runit-server",
        style="system",
        about="a database, a web server, sshd and cron under runit",
        command=runit(REDIS, NGINX, SSHD, CRON),
        findings=("docker_as_vm",),
    ),
    Scenario(
        name="s6-server",
        style="system",
        about="a database, a web server, sshd and cron under s6",
        image=_MANY,
        command=s6(REDIS, NGINX, SSHD, CRON),
    ),
    Scenario(
        name="supervisord-server",
        style="system",
        about="a database, a web server, sshd and cron under supervisord",
        command=supervised(REDIS, NGINX, SSHD, CRON),
        findings=("docker_as_vm",),
    ),
    Scenario(
        name="supervisord-unrelated",
        style="system",
        sure=False,
        about="supervisord over nginx, redis, memcached and vsftpd: unrelated services",
        command=supervised(NGINX, REDIS, MEMCACHED, "ftp=/usr/sbin/vsftpd /etc/vsftpd.conf"),
    ),
    Scenario(
        name="supervisord-two",
        style="system",
        sure=False,
        about="supervisord over nginx and redis, which have nothing to do with each other",
        command=supervised(NGINX, REDIS),
    ),
    Scenario(
        name="dbus-nginx",
        style="app",
        sure=False,
        about="a system's dbus and nginx under a script",
        command=sh("mkdir -p /run/dbus; dbus-daemon --system; nginx; sleep infinity"),
    ),
    Scenario(
        name="sysvinit-server",
        style="system",
        about="sysvinit with gettys, sshd, cron, rsyslog and nginx",
        image="e-sysv:lab",
        command=sh("exec /sbin/init"),
        wait=15,
    ),
    Scenario(
        name="openrc-server",
        style="system",
        about="sysvinit and OpenRC with sshd, cron, rsyslog and nginx",
        image="e-openrc:lab",
        command=sh("exec /sbin/init"),
        wait=15,
    ),
    Scenario(
        name="tini-server",
        style="system",
        about="a script with sshd, cron and postfix under tini",
        command=(
            "tini",
            "--",
            "bash",
            "-c",
            SSH + "/usr/sbin/sshd; cron; postfix start; sleep infinity",
        ),
        wait=5,
    ),
    Scenario(
        name="python-init-server",
        style="system",
        about="a python program that starts and holds sshd, cron, rsyslog and nginx",
        command=sh(
            SSH + "printf 'import subprocess as s\\n"
            'p = [s.Popen(c) for c in (["/usr/sbin/sshd", "-D"], ["cron", "-f"], '
            '["rsyslogd", "-n"], ["nginx", "-g", "daemon off;"])]\\n'
            "[x.wait() for x in p]\\n' > /start.py; exec python3 /start.py"
        ),
    ),
    Scenario(
        name="monit-server",
        style="system",
        about="monit over sshd, cron and redis",
        image=_MANY,
        sure=False,
        command=sh(
            SSH + "/usr/sbin/sshd; cron; redis-server --daemonize yes; "
            "printf 'set daemon 30\\n' > /m; chmod 600 /m; exec monit -I -c /m"
        ),
    ),
    Scenario(
        name="busybox-init-server",
        style="system",
        about="busybox init with syslogd, crond, httpd and telnetd on a tiny root",
        image=TINY,
        command=sh(
            APPLETS + "mkdir -p /var/spool/cron/crontabs /etc /var/log; "
            "printf '::respawn:/bin/syslogd -n\\n::respawn:/bin/crond -f\\n"
            "::respawn:/bin/httpd -f -p 80\\n::respawn:/bin/telnetd -F\\n' > /etc/inittab; "
            "exec /bin/init"
        ),
        findings=("docker_as_vm",),
    ),
    Scenario(
        name="tiny-server",
        style="system",
        about="a script that starts syslogd, crond, httpd and telnetd on a tiny root",
        image=TINY,
        command=sh(
            APPLETS + "mkdir -p /var/spool/cron/crontabs /var/log; "
            "syslogd; crond; httpd -p 80; telnetd; while :; do sleep 9; done"
        ),
    ),
    Scenario(
        name="dropbear-server",
        style="system",
        about="dropbear, cron and lighttpd under a script",
        image=_MANY,
        command=sh(
            "mkdir -p /etc/dropbear /run/lighttpd; dropbear -R; cron; "
            "lighttpd -f /etc/lighttpd/lighttpd.conf; sleep infinity"
        ),
    ),
    Scenario(
        name="people",
        style="system",
        sure=False,
        about="sshd with two people who live in it: sessions, tmux, programs that stay",
        image=_MANY,
        command=sh(SSH + "exec /usr/sbin/sshd -D"),
        then=(
            *add_users("ann", "bob"),
            f"docker exec $NAME {SSH_TO}ann@127.0.0.1 tmux new -d",
            f"docker exec $NAME {SSH_TO}bob@127.0.0.1 tmux new -d",
            log_in("ann"),
            log_in("bob"),
        ),
        wait=5,
    ),
    Scenario(
        name="runit-init",
        style="system",
        about="runit as first process, through its stages, over sshd, cron and nginx",
        command=runit(
            SSHD,
            CRON,
            NGINX,
            boot="mkdir -p /etc/runit; printf '#!/bin/sh\\n' > /etc/runit/1; "
            "printf '#!/bin/sh\\nexec runsvdir /etc/sv2\\n' > /etc/runit/2; "
            "printf '#!/bin/sh\\n' > /etc/runit/3; chmod +x /etc/runit/*; exec /sbin/runit",
        ),
    ),
)

_OTHER_ENGINES = (
    Scenario(
        name="podman-nginx", style="app", about="nginx in podman", engine="podman", command=_NGINX
    ),
    Scenario(
        name="podman-server",
        style="system",
        about="sshd, cron and nginx in podman",
        engine="podman",
        command=sh(SSH + "/usr/sbin/sshd; cron; nginx; sleep infinity"),
    ),
    Scenario(
        name="lxc-boot",
        style="system",
        about="Debian booted in LXC",
        engine="lxc",
        command=("/lib/systemd/systemd",),
        wait=8,
    ),
    Scenario(
        name="lxc-idle",
        style="system",
        about="an idle Debian in LXC",
        engine="lxc",
        command=booted(),
        wait=6,
    ),
    Scenario(
        name="lxc-one",
        style="app",
        about="one program in LXC",
        engine="lxc",
        command=("/usr/bin/redis-server",),
        absent=("single_app_in_system_container",),
    ),
    Scenario(
        name="lxc-systemd-one",
        style="app",
        about="systemd and journald over nginx in LXC, without getty, sshd or cron",
        engine="lxc",
        command=booted("nginx", mask=BARE),
        findings=("single_app_in_system_container",),
        wait=6,
    ),
    Scenario(
        name="lxc-busybox",
        style="system",
        about="busybox init with syslogd, crond, a getty and a shell in LXC",
        engine="lxc-tiny",
        command=sh(
            APPLETS + "mkdir -p /var/spool/cron/crontabs /etc /var/log; "
            "printf '::respawn:/bin/syslogd -n\\n::respawn:/bin/crond -f\\n"
            "console::askfirst:-/bin/sh\\n' > /etc/inittab; exec /bin/init"
        ),
    ),
    Scenario(
        name="lxc-sleep",
        style="app",
        about="sleep infinity in LXC",
        engine="lxc-tiny",
        command=("/bin/sleep", "infinity"),
    ),
    Scenario(
        name="nspawn-boot",
        style="system",
        about="Debian booted in nspawn",
        engine="nspawn",
        command=("--boot",),
        wait=8,
    ),
    Scenario(
        name="nspawn-one",
        style="app",
        about="redis in nspawn without boot",
        engine="nspawn",
        command=("--as-pid2", "/usr/bin/redis-server", "--port", "6501"),
    ),
    Scenario(
        name="unshare-nginx",
        style="app",
        about="nginx in namespaces and a root of its own, without an engine",
        engine="unshare",
        command=_NGINX,
    ),
    Scenario(
        name="unshare-server",
        style="system",
        about="sshd, cron, rsyslog and nginx in namespaces and a root of their own",
        engine="unshare",
        command=sh(SSH + "/usr/sbin/sshd -p 2222; cron; rsyslogd -iNONE; nginx -g 'daemon off;'"),
    ),
    Scenario(
        name="bwrap",
        style="app",
        about="a program in bubblewrap over a root of its own",
        engine="bwrap",
        command=("/usr/bin/redis-server", "--port", "6500"),
    ),
    Scenario(
        name="stopped-nginx",
        style="app",
        sure=False,
        about="nginx, stopped and never seen running",
        command=_NGINX,
        then=("docker stop -t 1 $NAME",),
    ),
    Scenario(
        name="stopped-systemd",
        style="system",
        sure=False,
        about="a container that was told to boot, stopped and never seen running",
        command=("/sbin/init",),
        options=SYSTEMD,
        then=("docker kill $NAME",),
    ),
)

SCENARIOS = (*_APPS, *_SYSTEMS, *_OTHER_ENGINES)
