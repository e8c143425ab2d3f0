"""A fifth round: what popular images start, each labelled before it was judged.

The trees follow the public Dockerfiles and init scripts of mail servers, forges, appliances,
panels and the like, with the programs that Debian has: the image ``field`` is a root of Debian 12
with what the commands name, ``/prog``, a static program that listens on the TCP port that it is
given, ``/wait``, one that waits, and next to them the binaries of socklog, bcron and syslog-ng
(``dpkg -x``, as Debian lets no two of them be installed together). ``/prog`` stands in for what
Debian lacks; a name under which it runs is as good as any other program's of that name.
"""

from __future__ import annotations

from typing import Any

from tests.corpus.scenarios import (
    CRON,
    GIVES_FILES,
    NGINX,
    PHP,
    REDIS,
    SSH,
    SSHD,
    SYSTEMD,
    Scenario,
    add_users,
    log_in,
    runit,
    s6,
    sh,
    supervised,
)
from tests.corpus.zoo import WAIT, WEB, WORKER, only

LABELLED = "2026-11-30"
"""When these were labelled: before any of them had been judged."""

FIELD = "field:lab"
DBDIR = "mkdir -p /run/mysqld; chown mysql /run/mysqld; "
PHPDIR = "mkdir -p /run/php; "
DB = "db=mariadbd --user=mysql"
APACHE = "web=apache2ctl -D FOREGROUND"
POSTFIX = "postfix=postfix start-fg"
DOVECOT = "dovecot=dovecot -F"
RSPAMD = "spam=rspamd -f -u _rspamd -g _rspamd"
RSYSLOG = "log=rsyslogd -n -iNONE"
SYSLOG_NG = "log=syslog-ng -F --no-caps"
BOXCRON = "cron=busybox crond -f -c /etc/boxcron"
BOXDIR = "mkdir -p /etc/boxcron; echo '*/5 * * * * php -f /var/www/cron.php' > /etc/boxcron/root; "
FAIL2BAN = "ban=fail2ban-server -xf start"
SNMPDIR = "sed -i 's/^agentaddress.*/agentaddress udp:161/' /etc/snmp/snmpd.conf; "
_UNBOUNDDIR = "printf 'server:\\n do-ip6: no\\n' > /u.conf; "
JAIL = "mkdir -p /run/fail2ban; touch /var/log/auth.log; "
PG = "service postgresql start; "


def app(name: str, about: str, *command: str, **more: Any) -> Scenario:
    """Return a container that is one application, with things of its own beside it: not sure."""
    return _scenario(name, "app", about, *command, **{"sure": False, **more})


def one(name: str, about: str, *command: str, **more: Any) -> Scenario:
    """Return a container that is one application without any doubt."""
    return _scenario(name, "app", about, *command, **more)


def system(name: str, about: str, *command: str, **more: Any) -> Scenario:
    """Return a container that is a small server."""
    return _scenario(name, "system", about, *command, **more)


def _scenario(name: str, style: str, about: str, *command: str, **more: Any) -> Scenario:
    settings = {"image": FIELD, "wait": 6, **more}
    return Scenario(
        name=name, style=style, about=about, command=command, labelled=LABELLED, **settings
    )


def after(before: str, command: tuple[str, ...]) -> tuple[str, ...]:
    """Return a shell's command with a script put before it."""
    return sh(before + command[2])


def program(path: str) -> str:
    """Return the script that makes the stand-in for a program; run it with its port."""
    return f"mkdir -p {path.rpartition('/')[0]}; cp /prog {path}; "


def my_init(*programs: str) -> tuple[str, ...]:
    """Return the command of a base image whose init, a python script, runs runit."""
    return after(
        'printf \'import subprocess as s\\ns.call(["runsvdir","-P","/etc/sv2"])\\n\' '
        "> /sbin/my_init; ",
        runit(*programs, boot="exec python3 /sbin/my_init"),
    )


_MAIL = (
    app("img-mail-all", "a mail server: dumb-init and supervisord over postfix, dovecot, rspamd, its redis, rsyslog, cron and fail2ban", "dumb-init", *after(JAIL, supervised(RSYSLOG, POSTFIX, DOVECOT, RSPAMD, REDIS, CRON, FAIL2BAN)), wait=9),
    app("img-mail-postfix", "a mail suite's postfix: supervisord over it and syslog-ng", *supervised(SYSLOG_NG, POSTFIX)),
    app("img-mail-dovecot", "a mail suite's dovecot: supervisord over it, syslog-ng, cron and a script that watches", *after("printf 'while :; do sleep 5; done' > /w.sh; ", supervised(SYSLOG_NG, DOVECOT, CRON, "watch=sh /w.sh"))),
    app("img-mail-resolver", "a mail suite's resolver: supervisord over unbound and syslog-ng", *after(_UNBOUNDDIR, supervised(SYSLOG_NG, "dns=unbound -d -c /u.conf"))),
    one("img-mail-filter", "a mail suite's filter: rspamd alone, by a script under tini", "tini", "--", "sh", "-c", "rspamd -f -u _rspamd -g _rspamd; exit"),
    app("img-mail-web", "a mail server with webmail: s6 over postfix, dovecot, rspamd, redis, nginx, php-fpm, unbound for itself, cron and rsyslog", *after(PHPDIR + _UNBOUNDDIR, s6(RSYSLOG, POSTFIX, DOVECOT, RSPAMD, REDIS, NGINX, PHP, "dns=unbound -d -c /u.conf", CRON)), wait=9),
    app("img-groupware", "a groupware: supervisord over mariadb, memcached, postfix, dovecot, apache, a program of its own, cron and rsyslog", *after(DBDIR + program("/usr/local/sbin/groupd"), supervised(RSYSLOG, DB, "kv=memcached -u nobody", POSTFIX, DOVECOT, APACHE, "gw=/usr/local/sbin/groupd 20000", CRON)), wait=10),
    app("img-mail-postgrey", "a relay: postfix and opendkim by a script, with rsyslog in the foreground", *sh("postfix start; mkdir -p /run/opendkim; opendkim -p inet:8891@127.0.0.1 -d a.b -s s -k /dev/null; exec rsyslogd -n -iNONE")),
    app("img-product-mail", "a mail product all below /opt/zim, with its own slapd, database and cache, beside the system's cron, rsyslog and a resolver on loopback", *sh("mkdir -p /opt/zim/sbin /opt/zim/data; cd /opt/zim/sbin; cp /usr/sbin/slapd /usr/sbin/mariadbd /usr/bin/memcached /usr/sbin/nginx .; " + DBDIR + "/opt/zim/sbin/mariadbd --user=mysql & /opt/zim/sbin/memcached -u nobody & /opt/zim/sbin/nginx; /opt/zim/sbin/slapd -h ldap://127.0.0.1:3890; dnsmasq --listen-address=127.0.0.1 --bind-interfaces; rsyslogd -iNONE; cron; " + WAIT), wait=8),
)  # fmt: skip
"""Mail servers, suites and groupware."""

_WEB = (
    app("img-cloud-cron", "a cloud for files: supervisord over apache with php, and a cron of busybox for its jobs", *after(BOXDIR, supervised(APACHE, BOXCRON))),
    app("img-cloud-s6", "a cloud for files: s6 over nginx, php-fpm and a cron of busybox", *after(PHPDIR + BOXDIR, s6(NGINX, PHP, BOXCRON))),
    app("img-web-proxy", "a web proxy that renews its certificates: s6 over nginx, php-fpm, a cron of busybox and fail2ban", *after(PHPDIR + BOXDIR + JAIL, s6(NGINX, PHP, BOXCRON, FAIL2BAN))),
    app("img-blog", "a blog with all it needs: supervisord over nginx, php-fpm, mariadb and cron", *after(PHPDIR + DBDIR, supervised(NGINX, PHP, DB, CRON)), wait=8),
    system("img-blog-ssh", "a blog with all it needs and an sshd for its owner, under supervisord", *after(PHPDIR + DBDIR, supervised(NGINX, PHP, DB, SSHD)), sure=False, wait=8),
    app("img-lamp", "apache with php, and a mariadb of its own, by a script", *sh(DBDIR + "mariadbd-safe --user=mysql & exec apache2ctl -D FOREGROUND"), wait=8),
    app("img-lamp-cron", "apache with php, a mariadb on loopback and cron, under supervisord", *after(DBDIR, supervised(APACHE, DB + " --bind-address=127.0.0.1", CRON)), wait=8),
    app("img-ipam", "an address manager's jobs: a cron in the foreground, php by it, and rsyslog", *sh("echo '* * * * * root php -r \"sleep(50);\"' > /etc/cron.d/ipam; rsyslogd -iNONE; exec cron -f"), wait=5),
    app("img-forum", "a forum: runit over nginx, a ruby server, postgres, redis, cron and rsyslog, below a shell", *sh(PG + "service postgresql stop; printf 'run ->(e){[200,{},[\"\"]]}' > /c.ru; " + runit(NGINX, "web=puma -b tcp://127.0.0.1:3000 /c.ru", "pg=chpst -u postgres /usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf", REDIS, CRON, RSYSLOG, boot="runsvdir -P /etc/sv2 & wait")[2]), wait=9),
    app("img-project", "a project manager, all in one: supervisord over postgres, memcached, apache, a server and a worker in python, cron and postfix", *after(WEB + PG, supervised("kv=memcached -u nobody", APACHE, "own=gunicorn --chdir /app web:app", f"worker={WORKER}", CRON, POSTFIX)), wait=9),
    app("img-files", "a file cloud: a python init over runit with nginx, a program below /opt/sea, its web part, cron and syslog-ng", *after(WEB + program("/opt/sea/bin/seaf-server"), my_init(NGINX, "sea=/opt/sea/bin/seaf-server 8082", "hub=gunicorn --chdir /app web:app", CRON, SYSLOG_NG))),
    app("img-office", "an office server: a script over postgres, rabbitmq, redis, supervisord with node programs, nginx and cron", *sh(PG + "redis-server --daemonize yes; (su -s /bin/sh rabbitmq -c 'exec rabbitmq-server' &) ; cron; nginx; mkdir -p /var/www/docs; echo 'setInterval(()=>{},1e3)' > /var/www/docs/a.js; echo 'setInterval(()=>{},1e3)' > /var/www/docs/b.js; " + supervised("doc=node /var/www/docs/a.js", "conv=node /var/www/docs/b.js")[2].replace("exec supervisord", "supervisord") + "; " + WAIT), wait=15),
    app("img-search", "a search stack in one image: a script over two JVMs, a node program and cron", *sh("cron; export CLASSPATH=/; printf 'public class A{public static void main(String[] a)throws Exception{Thread.sleep(999999);}}' > /A.java; (mkdir -p /opt/search; cd /opt/search; cp /A.java A.java; java A.java &); (mkdir -p /opt/stash; cd /opt/stash; cp /A.java A.java; java A.java &); echo 'setInterval(()=>{},1e3)' > /k.js; exec node /k.js"), wait=9),
    one("img-desk-gateway", "a gateway to desktops: s6 over postgres, a daemon of its own and a JVM", *sh(PG + "service postgresql stop; " + program("/usr/local/sbin/guacd") + s6("pg=s6-setuidgid postgres /usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf", "d=/usr/local/sbin/guacd 4822", "web=node -e setInterval(()=>{},1e3)")[2].replace("()=>{}", "Boolean")), wait=8),
)  # fmt: skip
"""Web applications with their databases, queues, caches and jobs."""

_FORGES = (
    app("img-forge", "a forge: s6 over it and an sshd for git alone", *after(program("/app/gitea/gitea") + "useradd -m -s /bin/bash git; printf 'AllowUsers git\\nPasswordAuthentication no\\n' >> /etc/ssh/sshd_config; ", s6("forge=chpst -u git /app/gitea/gitea 3000", SSHD))),
    app("img-forge-all", "an older forge: s6 over it, an sshd, and busybox' syslogd and crond", *after(program("/app/gogs/gogs") + BOXDIR + "useradd -m -s /bin/bash git; ", s6("forge=chpst -u git /app/gogs/gogs 3000", SSHD, BOXCRON, "log=busybox syslogd -n"))),
    app("img-omnibus", "a forge with all its parts below /opt/lab, under runit with svlogd, and the system's sshd for git", *sh("mkdir -p /opt/lab/bin /opt/lab/code /var/log/lab; useradd -m git; cp /usr/bin/redis-server /usr/sbin/nginx /usr/lib/postgresql/15/bin/postgres /prog /opt/lab/bin; mv /opt/lab/bin/prog /opt/lab/bin/gitaly; printf 'import time\\nwhile True: time.sleep(9)\\n' | tee /opt/lab/code/sidekiq.py > /opt/lab/code/puma.py; " + runit("redis=/opt/lab/bin/redis-server", 'nginx=/opt/lab/bin/nginx -g "daemon off;"', "git=/opt/lab/bin/gitaly 8075", "web=python3 /opt/lab/code/puma.py", "jobs=python3 /opt/lab/code/sidekiq.py", SSHD, boot='for s in redis git; do mkdir -p /etc/sv2/$s/log /var/log/lab/$s; printf "#!/bin/sh\\nexec svlogd /var/log/lab/$s\\n" > /etc/sv2/$s/log/run; chmod +x /etc/sv2/$s/log/run; done; runsvdir /etc/sv2 & wait')[2]), wait=8),
    app("img-prefix", "a forge with all of it, its own sshd and cron too, below /opt/forge", *sh(SSH + "mkdir -p /opt/forge/bin; cp /usr/sbin/sshd /usr/sbin/cron /usr/sbin/nginx /usr/bin/redis-server /opt/forge/bin; " + runit("ssh=/opt/forge/bin/sshd -D -e", "cron=/opt/forge/bin/cron -f", 'web=/opt/forge/bin/nginx -g "daemon off;"', "redis=/opt/forge/bin/redis-server")[2])),
    app("img-review", "a code review: a script over sshd for its repositories, apache with php, mariadb and a node program", *sh(SSH + DBDIR + "useradd -m -s /bin/bash vcs; printf 'AllowUsers vcs\\nAuthorizedKeysCommand /usr/libexec/vcs-keys\\nAuthorizedKeysCommandUser vcs\\n' > /etc/ssh/sshd_config.vcs; printf '#!/bin/sh\\n' > /usr/libexec/vcs-keys; chmod 755 /usr/libexec/vcs-keys; mariadbd --user=mysql & /usr/sbin/sshd -f /etc/ssh/sshd_config.vcs; echo 'setInterval(()=>{},1e3)' > /n.js; node /n.js & exec apache2ctl -D FOREGROUND"), wait=8),
)  # fmt: skip
"""Forges and the like, which bring a login service of their own."""

_APPLIANCES = (
    app("img-dns-filter", "a name server that filters, with its pages: s6 over it, lighttpd with php, and cron", *after(program("/usr/bin/pihole-FTL") + "mkdir -p /run/lighttpd; ", s6("ftl=/usr/bin/pihole-FTL 53", "web=lighttpd -D -f /etc/lighttpd/lighttpd.conf", CRON))),
    app("img-dns-filter-new", "a name server that filters, by a script, with a cron of busybox", *sh(program("/usr/bin/pihole-FTL") + BOXDIR + "busybox crond -b -c /etc/boxcron; /usr/bin/pihole-FTL 53 & wait")),
    app("img-dns-forward", "dnsmasq and the pages to configure it, under supervisord", *after(program("/usr/local/bin/webproc"), supervised("dns=dnsmasq -k", "web=/usr/local/bin/webproc 8080"))),
    app("img-dns-log", "bind with syslog-ng and cron, by a script", *sh("syslog-ng --no-caps; cron; exec named -f -u bind")),
    app("img-dns-admin", "bind, and webmin for it, by a script", *sh("mkdir -p /usr/share/webmin; printf 'use Socket; socket(S,PF_INET,SOCK_STREAM,6); bind(S,sockaddr_in(10000,INADDR_ANY)); listen(S,5); sleep 1 while 1' > /usr/share/webmin/miniserv.pl; perl /usr/share/webmin/miniserv.pl & exec named -g -u bind")),
    app("img-monitor", "a monitoring appliance: supervisord over zabbix' server, its agent, nginx, php-fpm and a database", *after(PHPDIR + PG + "su postgres -c 'createuser zabbix; createdb -O zabbix zabbix'; mkdir -p /run/zabbix; chown zabbix /run/zabbix; " + program("/usr/sbin/zabbix_server"), supervised("srv=/usr/sbin/zabbix_server 10051", "agent=zabbix_agentd -f", NGINX, PHP)), wait=9),
    app("img-network-monitor", "a network's monitor: s6 over nginx, php-fpm, snmpd and a cron of busybox", *after(PHPDIR + BOXDIR + SNMPDIR, s6(NGINX, PHP, "snmp=snmpd -f -Lo", BOXCRON))),
    app("img-graphs", "a grapher: supervisord over apache with php, mariadb, snmpd, cron and rsyslog", *after(DBDIR + SNMPDIR, supervised(APACHE, DB, "snmp=snmpd -f -Lo", CRON, RSYSLOG)), wait=9),
    app("img-nagios", "nagios: runit over it, apache, a postfix for its messages on loopback, and rsyslog", *sh("mkdir -p /run/nagios4; chown nagios /run/nagios4; postconf inet_interfaces=loopback-only; " + runit("nagios=nagios4 /etc/nagios4/nagios.cfg", APACHE, POSTFIX, RSYSLOG)[2]), wait=8),
    app("img-monitor-dns", "a monitor with a name service for itself: supervisord over apache with php, nagios, dnsmasq and cron", *after("mkdir -p /run/nagios4; chown nagios /run/nagios4; ", supervised("nagios=nagios4 /etc/nagios4/nagios.cfg", APACHE, "dns=dnsmasq -k", CRON)), wait=8),
    app("img-telephony", "a telephone exchange: supervisord over it, mariadb, apache with php, cron and fail2ban", *after(DBDIR + JAIL + program("/usr/sbin/asterisk"), supervised("tel=/usr/sbin/asterisk 5038", DB, APACHE, CRON, FAIL2BAN)), wait=9),
    app("img-directory", "a directory with its backups: runit over slapd, cron and syslog-ng, under a python script", *after("mkdir -p /run/slapd; ", my_init("ldap=slapd -d 0 -h ldap:///", CRON, SYSLOG_NG))),
    app("img-domain", "a domain controller: supervisord over samba, a time server and rsyslog", *after(program("/usr/sbin/samba"), supervised("dc=/usr/sbin/samba 389", "ntp=chronyd -d -x", RSYSLOG))),
    system("img-identity", "an identity server: systemd over slapd, a KDC, apache, bind and a time server", *only("slapd", "apache2", "named", "chrony", "dbus", mask=("getty.target",)), options=SYSTEMD, wait=12),
    app("img-timemachine", "a file server with a name service: s6 over samba, dbus and cron", *after("mkdir -p /run/dbus; ", s6("bus=dbus-daemon --system --nofork", "smb=smbd -F --no-process-group", "nmb=nmbd -F --no-process-group", CRON))),
    app("img-netboot", "a boot server: supervisord over nginx, dnsmasq for TFTP and a node program", *supervised(NGINX, "tftp=dnsmasq -k --port=0 --enable-tftp --tftp-root=/srv", "ui=node -e setInterval(Boolean,1e3)")),
    one("img-vpn-access", "a VPN appliance, all below its prefix: a python program and openvpn below it", *sh("mkdir -p /usr/local/openvpn_as; printf 'import subprocess as s,time\\ns.Popen([\"openvpn\",\"--dev\",\"null\",\"--port\",\"1194\",\"--ifconfig-noexec\"])\\ntime.sleep(9999)\\n' > /usr/local/openvpn_as/main.py; exec python3 /usr/local/openvpn_as/main.py")),
    app("img-broker-cron", "mosquitto, and a cron that renews its certificate, by a script under tini", "tini", "--", "sh", "-c", "cron; mosquitto -p 1883"),
    one("img-time", "a time server alone", "chronyd", "-d", "-x"),
    app("img-ftp", "an FTP server with rsyslog and cron, by a script", *sh("rsyslogd -iNONE; cron; exec proftpd -n")),
    app("img-balancer", "haproxy with rsyslog and a cron that renews certificates, under supervisord", *after("printf 'frontend f\\n bind :80\\n mode tcp\\n' > /h.cfg; ", supervised("lb=haproxy -W -f /h.cfg", RSYSLOG, CRON))),
    app("img-print", "cups with dbus, rsyslog and cron, by a script", *sh("mkdir -p /run/dbus; dbus-daemon --system; rsyslogd -iNONE; cron; exec cupsd -f")),
    app("img-torrent", "a downloader behind a VPN: openvpn, transmission and a cron, under s6", *s6("vpn=openvpn --dev null --port 1194 --ifconfig-noexec", "torrent=transmission-daemon -f", CRON)),
)  # fmt: skip
"""Name servers, monitors, directories and other appliances."""

_DATA = (
    app("img-pg-backup", "postgres by its script, and the cron of its backups", *sh(PG + "service postgresql stop; cron; exec gosu postgres /usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf"), wait=8),
    app("img-pg-cluster", "a node of a cluster of postgres: runit over patroni, a queue's ticker and cron", *sh("printf 'scope: a\\nname: a\\nraft: {data_dir: /tmp/raft, self_addr: \"127.0.0.1:2222\"}\\netcd3: {host: \"127.0.0.1:2379\"}\\nrestapi: {listen: \"0.0.0.0:8008\", connect_address: \"127.0.0.1:8008\"}\\nbootstrap: {dcs: {}}\\npostgresql: {listen: \"0.0.0.0:5432\", connect_address: \"127.0.0.1:5432\", data_dir: /var/lib/postgresql/p, bin_dir: /usr/lib/postgresql/15/bin, pgpass: /tmp/pgp, authentication: {superuser: {username: postgres, password: x}, replication: {username: r, password: x}}}\\n' > /p.yml; mkdir -p /run/postgresql; chown postgres /run/postgresql; " + runit("etcd=etcd --data-dir /tmp/e", "patroni=chpst -u postgres patroni /p.yml", CRON, boot="runsvdir -P /etc/sv2 & wait")[2]), wait=20),
    one("img-rabbit", "rabbitmq alone, by a script", *sh("exec gosu rabbitmq rabbitmq-server"), wait=12),
    one("img-redis-socket", "redis on a socket of its own, and no port", "redis-server", "--port", "0", "--unixsocket", "/run/r.sock"),
    app("img-maria-backup", "mariadb under supervisord, with cron and rsyslog", *after(DBDIR, supervised(DB, CRON, RSYSLOG)), wait=7),
    app("img-web-agents", "nginx, and the agents of who watches it: munin's, snmpd and zabbix'", *after(SNMPDIR + "mkdir -p /run/munin /run/zabbix /var/log/munin /var/log/zabbix; chown zabbix /run/zabbix /var/log/zabbix; ", supervised(NGINX, "munin=munin-node --foreground", "snmp=snmpd -f -Lo", "zbx=zabbix_agentd -f"))),
    app("img-web-kept", "nginx with cron, rsyslog, a time server and haveged, under supervisord", *supervised(NGINX, CRON, RSYSLOG, "ntp=chronyd -d -x")),
    app("img-base", "a base image with its init: runit over cron, syslog-ng and a python program", *after(WEB, my_init(CRON, SYSLOG_NG, f"own={WORKER}"))),
    system("img-base-ssh", "a base image with its init and its sshd on: runit over cron, syslog-ng, sshd and nginx", *my_init(CRON, SYSLOG_NG, SSHD, NGINX)),
    app("img-base-web", "a base image with its init: runit over cron, syslog-ng, nginx, memcached and a ruby server", *after("printf 'run ->(e){[200,{},[\"\"]]}' > /c.ru; ", my_init(CRON, SYSLOG_NG, NGINX, "kv=memcached -u nobody", "web=puma -b tcp://127.0.0.1:3000 /c.ru"))),
    app("img-bcron-socklog", "runit over nginx, bcron and socklog", *after("mkdir -p /var/spool/cron/crontabs /var/spool/cron/tmp; export BCRON_USER=root; ", runit(NGINX, "cron=bcron-start", "log=socklog unix /dev/log"))),
    app("img-cron-log", "cron and rsyslog, for jobs and their log, by a script", *sh("rsyslogd -iNONE; exec cron -f")),
    app("img-log-server", "a log server: rsyslog that listens, and the cron that rotates, by a script", *sh("printf 'module(load=\"imudp\")\\ninput(type=\"imudp\" port=\"514\")\\n' > /etc/rsyslog.d/a.conf; cron; exec rsyslogd -n -iNONE")),
    system("img-web-log-server", "nginx and a syslog for others, that listens on the network, with cron under supervisord", *after("printf 'module(load=\"imtcp\")\\ninput(type=\"imtcp\" port=\"514\")\\n' > /etc/rsyslog.d/a.conf; ", supervised(NGINX, RSYSLOG, CRON)), sure=False),
    app("img-game", "a game server in a user's tmux, and the cron that updates it, by a script", *sh(program("/home/game/server/game_srv") + "useradd -d /home/game game; chown -R game /home/game; cron; su game -c 'export TERM=xterm; tmux new -d /home/game/server/game_srv 27015'; " + WAIT)),
)  # fmt: skip
"""Databases, base images, and what only keeps house."""

_LOGINS = (
    one("img-ssh-s6", "an SSH server alone under s6", *s6(SSHD)),
    app("img-sftp-log", "an SFTP server, with the syslog of its transfers and fail2ban", *sh(SSH + JAIL + GIVES_FILES + "rsyslogd -iNONE; fail2ban-server -b; exec /usr/sbin/sshd -D -e")),
    system("img-bastion-log", "a jump host: sshd, rsyslog and cron, by a script", *sh(SSH + "rsyslogd -iNONE; cron; exec /usr/sbin/sshd -D -e")),
    one("img-desktop", "a desktop over VNC in the browser: supervisord over Xvnc, a window manager, a terminal, websockify and nginx", *supervised("x=Xtigervnc :1 -SecurityTypes None", "wm=env DISPLAY=:1 fluxbox", "term=env DISPLAY=:1 xterm", "ws=websockify 6080 localhost:5901", NGINX), wait=8),
    app("img-webtop", "a desktop in the browser: s6 over dbus, Xvnc, a window manager, nginx and cron", *after("mkdir -p /run/dbus; ", s6("bus=dbus-daemon --system --nofork", "x=Xtigervnc :1 -SecurityTypes None", "wm=env DISPLAY=:1 fluxbox", NGINX, CRON)), wait=8),
    system("img-desktop-ssh", "a desktop over VNC with an sshd for its user, and cron", *supervised("x=Xtigervnc :1 -SecurityTypes None", "wm=env DISPLAY=:1 fluxbox", SSHD, CRON), wait=8),
    system("img-dev-box", "a box for a developer: supervisord over sshd, postgres by its script, and redis", *after(PG, supervised(SSHD, REDIS)), wait=8),
    system("img-own-sshd", "a web application with an sshd of the distribution's other build", *sh(SSH + "cp /usr/sbin/sshd /usr/sbin/sshd.pam; cron; /usr/sbin/sshd.pam; exec nginx -g 'daemon off;'")),
    system("img-people", "a shell server: sshd, cron, rsyslog and two people in it", *sh(SSH + "rsyslogd -iNONE; cron; exec /usr/sbin/sshd -D"), then=(*add_users("ann", "bob"), log_in("ann"), log_in("bob")), wait=7),
    system("img-nix", "sshd, nginx and cron out of a store, a path for each", *sh(SSH + "for p in openssh:sshd nginx:nginx cron:cron; do d=/nix/store/abc0-${p%:*}-1/bin; mkdir -p $d; cp /usr/sbin/${p#*:} $d; done; /nix/store/abc0-openssh-1/bin/sshd; /nix/store/abc0-cron-1/bin/cron; exec /nix/store/abc0-nginx-1/bin/nginx -g 'daemon off;'")),
    system("img-nix-apps", "mariadb, an FTP server and a directory out of a store, a path for each, under supervisord", *sh(DBDIR + "mkdir -p /run/slapd; for p in a-mariadb:mariadbd b-openldap:slapd c-proftpd:proftpd; do d=/nix/store/${p%:*}/bin; mkdir -p $d; cp /usr/sbin/${p#*:} $d; done; " + supervised("db=/nix/store/a-mariadb/bin/mariadbd --user=mysql", "ldap=/nix/store/b-openldap/bin/slapd -d 0 -h ldap:///", "ftp=/nix/store/c-proftpd/bin/proftpd -n")[2]), wait=8),
    system("img-panel", "a hosting panel: supervisord over apache, mariadb, postfix, dovecot, proftpd, bind, sshd, cron and rsyslog", *after(DBDIR, supervised(APACHE, DB, POSTFIX, DOVECOT, "ftp=proftpd -n", "dns=named -g -u bind", SSHD, CRON, RSYSLOG)), wait=10),
    system("img-panel-no-ssh", "a hosting panel without sshd: supervisord over nginx, php-fpm, mariadb, postfix, dovecot, proftpd, bind and cron", *after(DBDIR + PHPDIR, supervised(NGINX, PHP, DB, POSTFIX, DOVECOT, "ftp=proftpd -n", "dns=named -g -u bind", CRON)), wait=10),
    system("img-panel-script", "a hosting server by a script: apache, mariadb, postfix, dovecot, proftpd, bind, cron, rsyslog", *sh(DBDIR + "rsyslogd -iNONE; cron; postfix start; dovecot; proftpd; named -u bind; mariadbd --user=mysql & exec apache2ctl -D FOREGROUND"), wait=10, sure=False),
)  # fmt: skip
"""Where people log in, and panels."""

_WRAPPED = (
    one("img-wrap-pidproxy", "sshd alone, under supervisord and pidproxy", *supervised("ssh=pidproxy /run/sshd.pid /usr/sbin/sshd -D")),
    one("img-wrap-own", "sshd alone, under a program of one's own that runs what it is told", *sh(SSH + "printf '#!/usr/bin/python3\\nimport subprocess,sys\\nsubprocess.call(sys.argv[1:])\\n' > /usr/local/bin/keep; chmod +x /usr/local/bin/keep; exec /usr/local/bin/keep /usr/sbin/sshd -D")),
    one("img-wrap-flock", "sshd alone, under flock and timeout", *sh(SSH + "exec flock /run/l timeout 99999 nice -n 5 ionice -c 3 /usr/sbin/sshd -D")),
    one("img-wrap-many", "rsyslog alone, under catatonit, setuidgid, envdir and chpst", "catatonit", "--", "sh", "-c", "mkdir -p /e; setuidgid root envdir /e chpst -n 1 rsyslogd -n -iNONE; exit"),
    one("img-wrap-logger", "nginx, whose output a pipe takes to logger", *sh("nginx -g 'daemon off;' 2>&1 | logger -t nginx")),
    one("img-wrap-svlogd", "nginx under runit, with svlogd for its log", *runit(NGINX, boot="mkdir -p /etc/sv2/nginx/log /var/log/n; printf '#!/bin/sh\\nexec svlogd /var/log/n\\n' > /etc/sv2/nginx/log/run; chmod +x /etc/sv2/nginx/log/run; exec runsvdir /etc/sv2")),
    one("img-wrap-s6-log", "nginx, whose output a pipe takes to s6-log", *sh("mkdir -p /var/log/n; nginx -g 'daemon off;' 2>&1 | s6-log /var/log/n")),
    one("img-wrap-dumb", "redis under dumb-init and gosu", "dumb-init", "sh", "-c", "gosu redis redis-server; exit"),
)  # fmt: skip
"""One program below others that only hold it."""

SCENARIOS = (*_MAIL, *_WEB, *_FORGES, *_APPLIANCES, *_DATA, *_LOGINS, *_WRAPPED)
