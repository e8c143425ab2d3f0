"""A fourth round, of kinds that the others lack, each labelled before it was judged.

Their images are roots of Debian 12 with what the commands name: ``main`` has systemd and many
servers, ``odd`` no systemd but little-known small daemons, ``syslogng`` another syslog.
"""

from __future__ import annotations

from typing import Any

from tests.corpus.scenarios import (
    CRON,
    NGINX,
    REDIS,
    SSH,
    SYSTEMD,
    Scenario,
    runit,
    s6,
    sh,
    supervised,
)
from tests.corpus.zoo import WAIT, WEB, WORKER

_MAIN, _ODD, _SYSLOG_NG = "main:lab", "odd:lab", "syslogng:lab"
_CROND = "ln -s /bin/busybox /usr/local/sbin/crond; "


def app(name: str, about: str, *command: str, **more: Any) -> Scenario:
    """Return a container that is one application."""
    return Scenario(
        name=name, style="app", about=about, command=command, **{"image": _MAIN, "wait": 5, **more}
    )


def system(name: str, about: str, *command: str, **more: Any) -> Scenario:
    """Return a container that is a small server."""
    return Scenario(
        name=name,
        style="system",
        about=about,
        command=command,
        **{"image": _MAIN, "wait": 6, **more},
    )


APPS = (
    app("courier", "courier's imap: authdaemon and its listener", *sh("service courier-authdaemon start; service courier-imap start; " + WAIT)),
    app("clamav", "a virus scanner and its updater, by a script", *sh("echo 'E:0:*:58354f' > /var/lib/clamav/a.ndb; mkdir -p /run/clamav; chown -R clamav /run/clamav /var/lib/clamav; freshclam -d; exec clamd -F"), wait=8),
    app("tor-privoxy", "tor and privoxy before it, by a script", *sh("tor --SocksPort 9050 & exec privoxy --no-daemon /etc/privoxy/config")),
    app("firebird", "firebird under its guard", *sh("mkdir -p /run/firebird3.0 /tmp/firebird; chown -R firebird /run/firebird3.0 /tmp/firebird; exec su -s /bin/sh firebird -c 'exec /usr/sbin/fbguard -forever'")),
    app("foreman", "foreman over a web application, a worker and redis", *sh(WEB + f"cd /app; printf 'web: gunicorn web:app\\nworker: {WORKER}\\nredis: redis-server\\n' > Procfile; exec foreman start")),
    app("own-database", "a program in node that keeps a database of its own as its child", *sh("mkdir -p /run/mysqld /usr/lib/unifi; chown mysql /run/mysqld; echo \"require('child_process').spawn('mariadbd',['--user=mysql']);require('http').createServer(()=>{}).listen(8443)\" > /usr/lib/unifi/ace.js; exec node /usr/lib/unifi/ace.js")),
    app("patroni", "a node of a PostgreSQL cluster under supervisord: patroni, its postgres, etcd", *sh("printf 'scope: a\\nname: a\\netcd3: {host: \"127.0.0.1:2379\"}\\nrestapi: {listen: \"127.0.0.1:8008\", connect_address: \"127.0.0.1:8008\"}\\nbootstrap: {dcs: {}}\\npostgresql: {listen: \"127.0.0.1:5432\", connect_address: \"127.0.0.1:5432\", data_dir: /var/lib/postgresql/p, bin_dir: /usr/lib/postgresql/15/bin, pgpass: /tmp/pgp, authentication: {superuser: {username: postgres, password: x}, replication: {username: r, password: x}}}\\n' > /p.yml; mkdir -p /run/postgresql; chown postgres /run/postgresql; " + supervised("etcd=etcd --data-dir /tmp/e", 'patroni=su -s /bin/sh postgres -c "exec patroni /p.yml"')[2]), wait=15),
    app("agent-shell", "a shell below ssh-agent", "ssh-agent", "bash", options=("-it",), image=_ODD),
    app("gpg-job", "a build job that has left gpg-agent and dirmngr behind", *sh("export GNUPGHOME=/root/.gnupg; mkdir -p -m 700 /root/.gnupg; gpgconf --launch gpg-agent; gpgconf --launch dirmngr; python3 -c 'import time; time.sleep(999)' & wait")),
    app("lighttpd-php", "lighttpd that starts its own php", *sh("mkdir -p /run/lighttpd; chown www-data /run/lighttpd; lighttpd-enable-mod fastcgi fastcgi-php; exec lighttpd -D -f /etc/lighttpd/lighttpd.conf")),
    app("lxc-dropbear", "dropbear alone in LXC, by its init.cmd", "/usr/sbin/dropbear", "-F", "-R", engine="lxc"),
    app("nspawn-pid2", "a python program in nspawn, below its own reaper", "--as-pid2", "python3", "-c", "import time; time.sleep(999)", engine="nspawn"),
    app("login-prompt", "login on the terminal as the first process, somebody at the shell", "login", "-f", "root", options=("-it",), sure=False, image=_ODD),
    app("chat-voice-call", "a telephone exchange with a TURN server, by a script", *sh("turnserver -n --no-cli -m 2 & mkdir -p /run/kamailio; exec kamailio -DD -E -m 64 -M 8"), sure=False),
    app("syslogng-cron-ftp", "syslog-ng, cron and vsftpd, by a script", *sh("syslog-ng; cron; mkdir -p /run/vsftpd/empty; sed -i 's/listen=NO/listen=YES/;s/listen_ipv6=YES//' /etc/vsftpd.conf; exec vsftpd"), image=_SYSLOG_NG, sure=False),
    app("pbx", "supervisord over kamailio, mariadb, apache and cron", *sh("mkdir -p /run/mysqld /run/kamailio; chown mysql /run/mysqld; " + supervised("tel=kamailio -DD -E -m 64 -M 8", "db=mariadbd --user=mysql", "web=apache2ctl -D FOREGROUND", CRON)[2]), wait=8, sure=False),
    app("haproxy-log", "haproxy and the syslog that it logs to, by a script", *sh("rsyslogd -iNONE; printf 'frontend f\\n bind :80\\n mode tcp\\n' > /h.cfg; exec haproxy -W -f /h.cfg"), sure=False),
)  # fmt: skip

SYSTEMS = (
    system("odd-runit", "runit over tinysshd, bcron, socklog and nginx", *sh("mkdir -p /etc/tinyssh /var/log/x /run/sshd; tinysshd-makekey /etc/tinyssh/k; " + runit("ssh=tcpserver -HRDl0 0.0.0.0 22 /usr/sbin/tinysshd -v /etc/tinyssh/k", "cron=bcron-start", "log=socklog unix /dev/log", NGINX)[2]), image=_ODD),
    system("finit", "finit over nginx, a getty and a cron", *sh("printf 'service [S12345] name:nginx nginx -g \"daemon off;\"\\nservice [S12345] bcron-start\\ntty [12345] console noclear nowait\\n' > /etc/finit.conf; exec /sbin/finit"), image=_ODD, options=("-t",), wait=10),
    system("runit-getty", "runit over a getty and socklog, nothing else", *sh(runit("log=socklog unix /dev/log", "getty=fgetty console")[2]), image=_ODD, options=("-t",)),
    system("dropbear-crond-web", "dumb-init over dropbear, busybox's crond and lighttpd, by a script", "dumb-init", *sh(_CROND + "mkdir -p /run/lighttpd /tmp/c; dropbear -R; crond -c /tmp/c; exec lighttpd -D -f /etc/lighttpd/lighttpd.conf")),
    system("s6-games-voice", "s6 over a voice server, an FTP server and a proxy", *sh("mkdir -p /run/vsftpd/empty; sed -i 's/listen=NO/listen=YES/;s/listen_ipv6=YES//' /etc/vsftpd.conf; chmod -R a+rX /etc/mumble-server.ini; " + s6("voice=murmurd -fg", "ftp=vsftpd", "tor=tor")[2])),
    system("tmux-server", "sshd, cron and nginx in the windows of a tmux that a script started", *sh(SSH + "export TERM=xterm; tmux new -d '/usr/sbin/sshd -D'; tmux neww 'cron -f'; tmux neww 'nginx -g \"daemon off;\"'; exec sleep infinity")),
    system("lxc-many", "supervisord in LXC over redis, memcached and cron", *sh("mkdir -p /run/nsd /run/slapd; rm -f /etc/nsd/nsd.conf.d/*; " + supervised(REDIS, "kv=memcached -u nobody", CRON)[2]), engine="lxc", wait=7),
)  # fmt: skip

_COPIES = "mkdir -p /opt/r; for n in sshd cron systemd rsyslogd; do cp /bin/{of} /opt/r/$n; echo >> /opt/r/$n; done; cd /opt/r; "  # fmt: skip
_DEBIAN = "debian:lab"

CLAIMS = (
    app("renamed-sleeps", "sleeps that were copied to the names of systemd, sshd and cron", *sh(_COPIES.format(of="sleep") + "./sshd 86400 & ./cron 86400 & exec ./systemd 86400"), image=_DEBIAN),
    app("renamed-shells", "shells that were copied to the names of systemd, sshd, cron and rsyslogd", *sh(_COPIES.format(of="bash") + "echo 'while :; do sleep 60; done' > /w; exec ./systemd -c './sshd /w & ./cron /w & ./rsyslogd /w & wait'"), image=_DEBIAN),
    app("renamed-runsvdir", "a shell called runsvdir over sleeps called sshd and cron, at their usual places", *sh("cd /usr/sbin; rm -f sshd cron; cp /bin/sleep sshd; cp /bin/sleep cron; echo >> cron; cp /bin/bash /usr/bin/runsvdir; exec runsvdir -c 'sshd -- 86400 & cron -- 86400 & wait'"), image=_DEBIAN),
    app("claims-sshd-alone", "an entrypoint that waits and becomes sshd", *sh(SSH + "sleep 3; exec /usr/sbin/sshd -D"), image=_DEBIAN, wait=7),
    system("claims-script", "sshd, cron and rsyslog by a script that sleeps", *sh(SSH + "/usr/sbin/sshd; cron; rsyslogd; exec sleep infinity"), image=_DEBIAN),
    system("claims-runit", "runit over sshd, cron and nginx", *sh(runit("ssh=/usr/sbin/sshd -D -e", "cron=/usr/sbin/cron -f", NGINX)[2]), image=_DEBIAN),
    system("claims-supervisord", "supervisord over sshd, cron and nginx", *sh(supervised("ssh=/usr/sbin/sshd -D -e", CRON, NGINX)[2]), image=_DEBIAN),
    system("claims-systemd", "systemd with its services", "/sbin/init", image=_DEBIAN, options=SYSTEMD, wait=12),
)  # fmt: skip
"""What calls itself a service, with what it has open: renamed ones, and real ones."""

SCENARIOS = (*APPS, *SYSTEMS, *CLAIMS)
