"""More containers, each labelled before the classifier judged it.

Their images are roots of Debian 12 with what the commands name: ``big`` has systemd and many
servers, ``desk`` a desktop and exim, ``sysv`` sysvinit.
"""

from __future__ import annotations

from typing import Any

from tests.corpus.scenarios import (
    APPLETS,
    BARE,
    CRON,
    NGINX,
    NO_LOGIN,
    PHP,
    SSH,
    SSH_TO,
    SSHD,
    SYSTEMD,
    TINY,
    Scenario,
    add_users,
    bash,
    booted,
    log_in,
    runit,
    s6,
    sh,
    supervised,
)  # fmt: skip

_BIG, _DESK, _SYSV = "big:lab", "desk:lab", "sysv:lab"
WAIT = "exec tail -f /dev/null"


def serve(*names: str, then: str = WAIT) -> tuple[str, ...]:
    """Return the command of a script that starts services as Debian does, and waits."""
    return sh(SSH + "".join(f"service {name} start; " for name in names) + then)


def only(*units: str, mask: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the command that boots systemd without the services that have only an init script."""
    return sh("rm -f /etc/rc?.d/*; " + booted(*units, mask=mask)[2])


def app(name: str, about: str, *command: str, **more: Any) -> Scenario:
    """Return a container that is one application."""
    return Scenario(name=name, style="app", about=about, command=command, **{"image": _BIG, **more})


def system(name: str, about: str, *command: str, **more: Any) -> Scenario:
    """Return a container that is a small server."""
    return Scenario(
        name=name, style="system", about=about, command=command, **{"image": _BIG, **more}
    )


_WSGI = 'mkdir -p /app; echo \'def app(e, s): s("200 OK", []); return [b""]\' > /app/web.py; '
_LOOP = "import time\\nwhile True: time.sleep(9)\\n"
_MYSQL = "mysql=/usr/sbin/mariadbd --user=mysql"
_C = "int main(){for(;;)pause();}"

APPS = (
    app("uwsgi", "uwsgi with workers", *sh(_WSGI + "exec uwsgi --plugin python3 --socket :8000 --chdir /app --wsgi-file web.py --callable app -p 3 --master")),
    app("rabbitmq", "rabbitmq and its erlang helpers", "rabbitmq-server", wait=12),
    app("tomcat", "tomcat", *sh("export CATALINA_HOME=/usr/share/tomcat10 CATALINA_BASE=/var/lib/tomcat10 CATALINA_TMPDIR=/tmp; exec /usr/share/tomcat10/bin/catalina.sh run"), wait=8),
    app("bind", "bind alone", "named", "-g"),
    app("unbound", "unbound alone", *sh("printf 'server:\\n interface: 0.0.0.0\\n do-ip6: no\\nremote-control:\\n control-enable: no\\n' > /u; exec unbound -d -c /u")),
    app("squid", "squid with its helpers", "squid", "-N", wait=4),
    app("squid-daemon", "squid, forked, with its helpers", *sh("squid; " + WAIT), wait=4),
    app("samba", "samba: smbd and nmbd", *sh("nmbd -D; exec smbd -F --no-process-group")),
    app("mail", "postfix, dovecot, opendkim, spamd: one mail server", *sh("postfix start; dovecot; spamd -d; opendkim -b sv -l -A; " + WAIT), wait=8),
    app("mail-supervised", "postfix and dovecot under supervisord", *supervised("postfix=postfix start-fg", "dovecot=dovecot -F"), wait=6),
    app("lamp-supervised", "supervisord over apache with php and mariadb", *sh("mkdir -p /run/mysqld; chown mysql /run/mysqld; " + supervised("web=apache2ctl -D FOREGROUND", _MYSQL)[2]), sure=False, wait=6),
    app("lemp-supervised", "supervisord over nginx, php-fpm and mariadb: one web application", *sh("mkdir -p /run/php /run/mysqld; chown mysql /run/mysqld; " + supervised(NGINX, PHP, _MYSQL)[2]), sure=False, wait=6),
    app("lamp-service", "a script starts apache and mariadb and waits", *serve("mariadb", "apache2"), sure=False, wait=8),
    app("lemp-service", "a script starts php-fpm, mariadb and nginx and waits", *serve("php8.2-fpm", "mariadb", "nginx"), wait=8, sure=False),
    app("php-service", "a script starts php-fpm and nginx and waits", *serve("php8.2-fpm", "nginx")),
    app("postgres-service", "a script starts PostgreSQL as Debian does and waits", *serve("postgresql"), wait=6),
    app("ssh-service", "a script starts sshd as Debian does and waits", *serve("ssh")),
    app("cron-service", "cron, and a log that is followed", *serve("cron", then="touch /var/log/c; exec tail -f /var/log/c")),
    app("apache-php", "apache with php", "apache2ctl", "-D", "FOREGROUND"),
    app("ci-job", "a CI job: a shell, git, make and a compiler", *sh("cd /tmp; git init -q x; cd x; printf 'all:\\n\\tgcc -x c - < /dev/zero & sleep 300\\n' > Makefile; make; sleep 99")),
    app("jupyter", "a notebook's kernel under tini, with a terminal", "tini", "--", "python3", "-c", "import subprocess,pty,time,sys\nsubprocess.Popen([sys.executable,'-m','ipykernel_launcher','-f','/tmp/k.json'])\npty.spawn(['bash'])\ntime.sleep(999)", options=("-t",)),
    app("vnc", "a desktop over VNC", *sh("export DISPLAY=:1 HOME=/root; Xtigervnc :1 -SecurityTypes None & sleep 2; fluxbox & xterm & websockify 6080 localhost:5901 & wait"), image=_DESK, wait=5),
    app("vnc-supervised", "a desktop over VNC under supervisord, with a session's dbus", *supervised("x=Xtigervnc :1 -SecurityTypes None", "bus=dbus-daemon --session --nofork --address=unix:path=/tmp/bus", "wm=env DISPLAY=:1 fluxbox", "term=env DISPLAY=:1 xterm", "web=websockify 6080 localhost:5901"), image=_DESK, wait=7),
    app("tmux", "a tmux session with shells, kept alive by sleep", *sh("tmux new -d 'bash'; tmux split-window 'vi /tmp/x'; exec sleep infinity")),
    app("tmux-shell", "an interactive shell, tmux within, and an editor", "bash", "-c", "tmux -f /dev/null new-session bash", options=("-it",)),
    app("dev-exec", "sleep infinity, and an editor's server by exec", "sleep", "infinity", then=("docker exec -d $NAME node -e 'setInterval(()=>{},1e3)'", "docker exec -dt $NAME bash")),
    app("bastion", "an ssh bastion with three visitors", *sh(SSH + "exec /usr/sbin/sshd -D"), then=(*add_users("ann", "bob", "cyd"), log_in("ann"), log_in("bob"), log_in("cyd")), sure=False, wait=4),
    app("sftp-session", "sshd with an sftp transfer", *sh(SSH + "exec /usr/sbin/sshd -D"), then=(*add_users("ann"), "docker exec -d $NAME sh -c 'sleep 99 | sftp -b - -i /root/.ssh/id -o StrictHostKeyChecking=no ann@127.0.0.1'"), wait=4),
    app("forged-static", "static programs at the places of sshd and cron that only wait", *sh("cp /wait /usr/sbin/sshd; cp /wait /usr/sbin/cron; echo >> /usr/sbin/cron; /usr/sbin/sshd & exec /usr/sbin/cron"), sure=False, wait=6, image="field:lab"),
    app("forged-comm", "python processes with the comm of sshd and cron", "python3", "-c", "import ctypes,os,time\nl=ctypes.CDLL(None)\nfor n in (b'sshd',b'cron',b'rsyslogd'):\n  if os.fork()==0:\n    l.prctl(15,n); time.sleep(9999)\nl.prctl(15,b'systemd'); time.sleep(9999)"),
    app("renamed-nginx", "nginx under another name", *sh("cp /usr/sbin/nginx /usr/local/bin/webthing; exec /usr/local/bin/webthing -g 'daemon off;'")),
    app("s6-log", "s6 over one program with its logger", *sh("mkdir -p /s/a/log; printf '#!/bin/sh\\nexec redis-server\\n' > /s/a/run; printf '#!/bin/sh\\nmkdir -p /l; exec s6-log /l\\n' > /s/a/log/run; chmod +x /s/a/run /s/a/log/run; exec s6-svscan /s")),
    app("runit-log", "runit over nginx with its logger", *sh("mkdir -p /s/a/log /l; printf '#!/bin/sh\\nexec nginx -g \"daemon off;\"\\n' > /s/a/run; printf '#!/bin/sh\\nexec svlogd /l\\n' > /s/a/log/run; chmod +x /s/a/run /s/a/log/run; exec runsvdir /s")),
    app("celery", "gunicorn, a worker and a scheduler under tini", "tini", "--", "sh", "-c", _WSGI + "cd /app; gunicorn web:app & printf 'from celery import Celery\\napp=Celery(broker=\"memory://\")\\n' > t.py; python3 -m celery -A t worker & python3 -m celery -A t beat & wait", wait=8),
    app("node-cluster", "node with workers", *sh("echo \"const c=require('cluster');if(c.isPrimary)for(let i=0;i<4;i++)c.fork();else require('http').createServer(()=>{}).listen(80)\" > /srv/a.js; exec node /srv/a.js")),
    app("nginx-exporter", "nginx and a node exporter started by a script", *sh("nginx; exec prometheus-node-exporter")),
    app("pgbouncer", "PostgreSQL and pgbouncer", *sh("service postgresql start; printf '[databases]\\n[pgbouncer]\\nlisten_port=6432\\nauth_type=any\\n' > /p.ini; exec su postgres -c 'pgbouncer /p.ini'"), wait=6),
    app("sentinel", "redis and its sentinel", *sh("redis-server --daemonize yes; printf 'port 26379\\nsentinel monitor m 127.0.0.1 6379 1\\n' > /s.conf; exec redis-sentinel /s.conf")),
    app("openvpn", "a VPN with a firewall of its own", *sh("iptables -A INPUT -p udp -j ACCEPT; iptables -A FORWARD -j DROP; mkdir -p /dev/net; mknod /dev/net/tun c 10 200; openvpn --genkey secret /k; exec openvpn --dev null --secret /k --cipher AES-256-CBC"), options=("--cap-add", "NET_ADMIN")),
    app("chrony", "a time server alone", "chronyd", "-d", "-x"),
    app("avahi", "avahi with the dbus that it needs", *sh("mkdir -p /run/dbus; dbus-daemon --system; exec avahi-daemon --no-rlimits"), sure=False),
    app("tftp-dhcp", "a netboot server: dhcpd and tftpd", *sh("in.tftpd -L -s /srv & mkdir -p /srv; echo 'subnet 0.0.0.0 netmask 0.0.0.0 {}' > /d.conf; touch /leases; exec dhcpd -f -cf /d.conf -lf /leases --no-pid"), sure=False),
    app("cups", "a print server alone", "cupsd", "-f"),
    app("icecast", "icecast alone", *sh("chmod a+r /etc/icecast2/*; exec su -s /bin/sh icecast2 -c 'exec icecast2 -c /etc/icecast2/icecast.xml'")),
    app("transmission", "transmission alone", "transmission-daemon", "-f"),
    app("tor", "tor alone", "tor"),
    app("ngircd", "an IRC server alone", "ngircd", "-n"),
    app("minidlna", "minidlna alone", *sh("mkdir -p /var/log/minidlna; exec minidlnad -S")),
    app("tinyproxy", "tinyproxy alone", *sh("mkdir -p /run/tinyproxy; exec tinyproxy -d")),
    app("stunnel", "stunnel before redis", *sh("redis-server --daemonize yes; openssl req -x509 -newkey rsa:2048 -nodes -keyout /k -out /k -subj /CN=a -batch; printf 'foreground=yes\\n[r]\\naccept=6380\\nconnect=6379\\ncert=/k\\n' > /st; exec stunnel4 /st"), wait=5),
    app("prometheus", "prometheus alone", *sh("exec prometheus --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/tmp/p")),
    app("keepalived", "haproxy and keepalived", *sh("printf 'frontend f\\n bind :80\\n mode tcp\\n' > /h.cfg; haproxy -W -f /h.cfg & printf 'vrrp_instance a {\\n interface eth0\\n virtual_router_id 1\\n priority 1\\n}\\n' > /k; exec keepalived -n -f /k"), options=("--cap-add", "NET_ADMIN"), sure=False),
    app("zabbix-agent", "a monitoring agent alone", *sh("mkdir -p /run/zabbix; chown zabbix /run/zabbix; exec su -s /bin/sh zabbix -c 'exec zabbix_agentd -f'")),
    app("su-redis", "redis through su, as an entrypoint does it", *sh("exec su -s /bin/sh redis -c 'exec redis-server --dir /tmp'")),
    app("trap-wait", "a shell that traps, starts gunicorn and nginx, and waits", *bash(_WSGI + "trap 'kill %1' TERM; gunicorn --chdir /app -w2 web:app & nginx -g 'daemon off;' & wait")),
    app("python-manager", "a python program that starts and holds three workers of its own", *sh(f"mkdir -p /app; printf '{_LOOP}' > /app/w.py; printf 'import subprocess as s,sys\\n[p.wait() for p in [s.Popen([sys.executable,\"/app/w.py\"]) for _ in range(3)]]\\n' > /app/m.py; exec python3 /app/m.py")),
    app("monit-one", "monit over nginx", *sh("nginx; printf 'set daemon 30\\n' > /m; chmod 600 /m; exec monit -I -c /m")),
    app("zombies", "a program that reaps nothing", "python3", "-c", "import os,time\nfor _ in range(9):\n  if os.fork()==0: os._exit(0)\ntime.sleep(9999)"),
    app("just-started", "nginx, just started", "nginx", "-g", "daemon off;", wait=0.2),
    app("paused-sleep", "sleep, paused", "sleep", "infinity", then=("docker pause $NAME",)),
    app("rm-job", "a job that is thrown away when it ends", "python3", "-c", "while True: pass", options=("--rm", "--cpus", "0.1")),
    app("pause", "a static pause, as a pod's", *sh(f"cd /tmp; echo '#include <unistd.h>\n{_C}' > a.c; gcc -static -o /pause a.c; exec /pause")),
    app("lighttpd-logrotate", "lighttpd, and a loop that rotates logs", *sh("(while :; do sleep 3600; logrotate /etc/logrotate.conf; done) & mkdir -p /run/lighttpd; exec lighttpd -D -f /etc/lighttpd/lighttpd.conf")),
    app("varnish", "varnish, manager and child", *sh("exec varnishd -F -a :80 -b 127.0.0.1:8080")),
        app("rsyncd", "an rsync server alone", *sh("printf '[x]\\npath=/srv\\n' > /etc/rsyncd.conf; exec rsync --daemon --no-detach")),
    app("socat", "a port forwarder", "socat", "TCP-LISTEN:99,fork", "TCP:127.0.0.1:98"),
    app("s6-svscan-web-cron", "s6 over nginx, php-fpm and busybox's crond: an image of one application", *sh("mkdir -p /run/php; " + s6(NGINX, PHP, "cron=/bin/busybox crond -f -c /tmp")[2]), sure=False),
    app("exim", "exim alone", "exim4", "-bdf", "-q30m", image=_DESK),
    app("xvfb", "a headless browser's display and a program", *sh("Xvfb :1 & exec python3 -m http.server"), image=_DESK),
    app("systemd-apache", "systemd over apache alone, without getty, sshd or cron", *only("apache2", mask=BARE), options=SYSTEMD, wait=8, findings=("single_app_in_system_container",)),
    app("systemd-postgres", "systemd over PostgreSQL alone", *only("postgresql", mask=BARE), options=SYSTEMD, wait=9, findings=("single_app_in_system_container",)),
    app("systemd-web", "systemd over nginx and php-fpm, the parts of one web application", *only("nginx", "php8.2-fpm", mask=BARE), options=SYSTEMD, wait=8, findings=("single_app_in_system_container",)),
    app("systemd-lemp", "systemd over nginx, php-fpm and mariadb: one web application", *only("nginx", "php8.2-fpm", "mariadb", mask=BARE), options=SYSTEMD, wait=10, sure=False),
    app("busybox-init-one", "busybox init over httpd alone", *sh(APPLETS + "mkdir -p /etc; printf '::respawn:/bin/httpd -f -p 80\\n' > /etc/inittab; exec /bin/init"), image=TINY),
    app("cron-sleep-script", "a script that starts cron and sleeps in a loop", *sh("cron; while :; do sleep 60; done")),
    app("tini-cron", "cron under tini", "tini", "--", "cron", "-f"),
    app("supervisord-cron", "supervisord over cron alone", *supervised(CRON)),
    app("supervisord-sshd", "supervisord over sshd alone", *supervised(SSHD)),
    app("fork-user", "a web application of an ordinary user under dumb-init", "dumb-init", "gunicorn", "-w", "2", "wsgiref.simple_server:demo_app", options=("--user", "33:33", "--read-only", "--tmpfs", "/tmp")),
    app("compose-worker", "a worker that compose placed", "python3", "-c", "import time; time.sleep(9999)", options=("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=worker")),
    app("slow-shell", "a shell that reads commands from a pipe", *sh('mkfifo /p; exec 3<>/p; while read -r line <&3; do eval "$line"; done')),
    app("python-ssh-library", "a python program whose title says sshd and which listens on 22", "python3", "-c", "import socket,time\ns=socket.socket();s.bind(('',22));s.listen();time.sleep(9999)"),
    app("mysql-cron", "mariadb, and a cron for its backups", *serve("mariadb", "cron"), sure=False, wait=8),
    app("service-redis-cron", "a script starts redis and cron and waits", *serve("redis-server", "cron"), sure=False),
    app("supervisord-cron-app", "supervisord over php-fpm and cron", *sh("mkdir -p /run/php; " + supervised(PHP, CRON)[2]), sure=False),
    app("my-init", "a python init over runit with syslog, cron and nginx", *sh("printf 'import subprocess as s\\ns.call([\"runsvdir\",\"/etc/sv2\"])\\n' > /sbin/my_init; " + runit("syslog=rsyslogd -n", CRON, NGINX, boot="exec python3 /sbin/my_init")[2]), sure=False),
    app("own-user-cron", "cron, syslog and a python worker", *sh("rsyslogd; cron; exec python3 -c 'import time; time.sleep(9999)'"), sure=False),
)  # fmt: skip

SYSTEMS = (
    system("service-ssh-cron", "a script starts sshd and cron as Debian does and waits", *serve("ssh", "cron"), findings=("docker_as_vm",)),
    system("exec-services", "sleep infinity, in which sshd, cron and nginx were started by exec", "sleep", "infinity", then=("docker exec $NAME sh -c 'mkdir -p /run/sshd; service ssh start; service cron start; service nginx start'",)),
    system("shell-services", "a shell at a terminal, in which sshd and cron were started", "bash", options=("-it",), then=("docker exec $NAME sh -c 'mkdir -p /run/sshd; service ssh start; service cron start'",)),
    system("renamed-services", "sshd, cron and nginx under other names", *sh(SSH + "mkdir -p /opt/a /opt/b; cp /usr/sbin/sshd /opt/a/remote; cp /usr/sbin/cron /opt/b/timer; /opt/a/remote; /opt/b/timer; exec nginx -g 'daemon off;'"), sure=False),
    system("busybox-init-two", "busybox init over syslogd, crond and httpd", *sh(APPLETS + "mkdir -p /etc /var/log /var/spool/cron/crontabs; printf '::respawn:/bin/syslogd -n\\n::respawn:/bin/crond -f\\n::respawn:/bin/httpd -f -p 80\\n' > /etc/inittab; exec /bin/init"), image=TINY),
    system("systemd-paused", "a booted systemd, paused", *booted("ssh", "cron"), options=SYSTEMD, wait=7, then=("docker pause $NAME",)),
    system("systemd-booting", "systemd with everything, half a second after its start", "/lib/systemd/systemd", options=SYSTEMD, wait=0.5),
    system("systemd-degraded", "a degraded systemd: sshd runs, other units have failed", *sh("printf '[Service]\\nExecStart=/bin/false\\n[Install]\\nWantedBy=multi-user.target\\n' > /etc/systemd/system/bad.service; " + booted("ssh", "bad")[2]), options=SYSTEMD, wait=8),
    system("systemd-masked", "systemd with masked units, sshd and nginx", *booted("ssh", "nginx", mask=(*BARE, "systemd-journald.service", "systemd-journald.socket")), options=SYSTEMD, wait=7),
    system("systemd-app-cron", "systemd over redis and cron", *only("redis-server", "cron", mask=BARE), options=SYSTEMD, wait=7),
    system("systemd-panel", "a hosting server: apache, mariadb, postfix, sshd and cron under systemd", *booted("apache2", "mariadb", "postfix", "ssh", "cron", "rsyslog"), options=SYSTEMD, wait=14),
    system("systemd-session", "systemd with sshd and somebody logged in", *booted("ssh"), options=SYSTEMD, wait=8, then=(*add_users("ann"), log_in("ann"))),
    system("supervisord-ssh-cron-mysql", "supervisord over sshd, cron and mariadb", *sh("mkdir -p /run/mysqld; chown mysql /run/mysqld; " + supervised(SSHD, CRON, _MYSQL)[2]), wait=6),
    system("supervisord-app-ssh", "supervisord over nginx and sshd", *supervised(NGINX, SSHD)),
    system("fail2ban", "sshd, rsyslog and fail2ban", *sh(SSH + "rsyslogd; /usr/sbin/sshd; sleep 1; touch /var/log/auth.log; fail2ban-server -b; " + WAIT), wait=5),
    system("tini-ssh-nginx", "nginx and sshd by a script under tini", "tini", "--", "sh", "-c", SSH + "/usr/sbin/sshd; nginx -g 'daemon off;'"),
    system("app-ssh", "a python web application, and the sshd that its script started", *sh(SSH + "/usr/sbin/sshd; exec python3 -m http.server 80"), sure=False),
    system("telnet-inetd", "xinetd, cron and syslog", *sh("rsyslogd; cron; exec xinetd -dontfork")),
    system("dropbear-desk", "dropbear, cron and exim", *sh("mkdir -p /etc/dropbear; dropbear -R; cron; exec exim4 -bdf -q30m"), image=_DESK),
    system("desktop-server", "a desktop over VNC with sshd, cron and rsyslog", *sh(SSH + "/usr/sbin/sshd; cron; rsyslogd; export DISPLAY=:1; Xtigervnc :1 -SecurityTypes None & sleep 2; fluxbox & xterm & wait"), image=_DESK, wait=5),
    system("sysv-idle", "sysvinit with gettys and nothing else", *sh("rm -f /etc/rc?.d/S*; exec /sbin/init"), image=_SYSV, wait=10),
    system("sysv-all", "sysvinit with all that Debian starts", *sh("exec /sbin/init"), image=_SYSV, wait=15),
    system("compose-server", "sshd, cron and rsyslog, placed by compose, with a registry's labels", *serve("ssh", "cron", "rsyslog"), options=("--label", "com.docker.compose.project=shop", "--label", "org.opencontainers.image.source=x")),
    system("dev-people", "a dev box: sshd, somebody logged in with tmux and a server of his own", *sh(SSH + "exec /usr/sbin/sshd -D"), then=(*add_users("ann"), f"docker exec $NAME {SSH_TO}ann@127.0.0.1 tmux new -d 'python3 -m http.server'", log_in("ann")), sure=False, wait=5),
    system("systemd-everything-off", "systemd with nothing but logind and dbus", *only(mask=NO_LOGIN), options=SYSTEMD, wait=6),
    system("restarted-server", "sshd, cron and nginx, started again by hand", *serve("ssh", "cron", "nginx"), then=("docker restart -t 1 $NAME", "sleep 4")),
)  # fmt: skip

SCENARIOS = (*APPS, *SYSTEMS)
