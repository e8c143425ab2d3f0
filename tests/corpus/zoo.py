"""A third round, of kinds that the others lack, each labelled before it was judged.

Their images are roots of Debian 12 with what the commands name: ``zoo`` has systemd and many
servers, ``openrc`` OpenRC over sysvinit.
"""

from __future__ import annotations

from typing import Any

from tests.corpus.scenarios import (
    ADD_GIT,
    APPLETS,
    BARE,
    CRON,
    KEYS_OF_GIT,
    NGINX,
    NO_LOGIN,
    PHP,
    REDIS,
    SSH,
    SSH_TO,
    SSHD,
    SYSTEMD,
    TINY,
    Scenario,
    add_users,
    booted,
    log_in,
    runit,
    s6,
    sh,
    supervised,
)

_ZOO, _OPENRC = "zoo:lab", "openrc:lab"
WAIT = "exec tail -f /dev/null"
_FREE = (
    *("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--security-opt", "seccomp=unconfined"),
    *("--security-opt", "apparmor=unconfined"),
)
WEB = (
    'mkdir -p /app; echo \'def app(e, s): s("200 OK", []); return [b""]\' > /app/web.py; '
    "printf 'import time\\nwhile True: time.sleep(9)\\n' > /app/worker.py; "
)
WORKER = "python3 /app/worker.py"
_ONE = ("single_app_in_system_container",)


def app(name: str, about: str, *command: str, **more: Any) -> Scenario:
    """Return a container that is one application."""
    return Scenario(name=name, style="app", about=about, command=command, **{"image": _ZOO, **more})


def system(name: str, about: str, *command: str, **more: Any) -> Scenario:
    """Return a container that is a small server."""
    return Scenario(
        name=name, style="system", about=about, command=command, **{"image": _ZOO, **more}
    )


def only(*units: str, mask: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the command that boots systemd without the services that have only an init script."""
    return sh("rm -f /etc/rc?.d/*; " + booted(*units, mask=mask)[2])


def openrc(*services: str, getty: bool) -> tuple[str, ...]:
    """Return the command that boots OpenRC with these services only."""
    tab = "id:2:initdefault:\\nsi::sysinit:/sbin/openrc sysinit\\nl2:2:wait:/sbin/openrc default\\n"
    tab += "1:2:respawn:/sbin/getty 38400 console\\n" if getty else ""
    added = "".join(f"rc-update add {name} default; " for name in services)
    return sh(
        "rm -f /etc/runlevels/*/*; mkdir -p /run/openrc; touch /run/openrc/softlevel; "
        f"{added}printf '{tab}' > /etc/inittab; exec /sbin/init"
    )


APPS = (
    app("ejabberd", "ejabberd: erlang and its helpers", *sh("mkdir -p /run/ejabberd; chown ejabberd /run/ejabberd; exec su -s /bin/bash ejabberd -c 'exec ejabberdctl foreground'"), wait=8),
    app("prosody-one", "prosody under supervisord, alone", *sh("mkdir -p /run/prosody; chown prosody /run/prosody; " + supervised("im=su -s /bin/sh prosody -c prosody")[2])),
    app("radius", "freeradius alone", "freeradius", "-f"),
    app("frr", "a routing suite: watchfrr, zebra, staticd", *sh("/usr/lib/frr/frrinit.sh start; " + WAIT), options=("--cap-add", "NET_ADMIN", "--cap-add", "SYS_ADMIN"), wait=5),
    app("bird", "bird alone", *sh("mkdir -p /run/bird; exec bird -f"), options=("--cap-add", "NET_ADMIN")),
    app("znc", "an IRC bouncer of an ordinary user", *sh("mkdir -p /z/configs; printf 'Version = 1.8.2\\n<Listener l>\\n Port = 6667\\n IPv4 = true\\n</Listener>\\n<User a>\\n Admin = true\\n Pass = plain#x#\\n</User>\\n' > /z/configs/znc.conf; chown -R games /z; exec su -s /bin/sh games -c 'exec znc -f -d /z'")),
    app("dns-stack", "dnsdist before a recursor, by a script", *sh("mkdir -p /run/pdns-recursor; pdns_recursor --daemon=yes --local-port=5302; exec dnsdist --supervised -C /dev/null -l 127.0.0.1:53"), wait=4),
    app("radicale", "a calendar server alone", "radicale"),
    app("syncthing", "syncthing, monitor and main", *sh("export HOME=/tmp; exec syncthing serve --no-browser"), wait=5),
    app("ipsec", "a VPN gateway: strongswan's starter and charon", *sh("exec ipsec start --nofork"), options=("--cap-add", "NET_ADMIN")),
    app("nagios-web", "nagios with nginx and fcgiwrap for its pages, by a script", *sh("mkdir -p /run/nagios4; chown nagios /run/nagios4; nagios4 -d /etc/nagios4/nagios.cfg; spawn-fcgi -s /run/f.sock /usr/sbin/fcgiwrap; exec nginx -g 'daemon off;'")),
    app("influxdb", "influxdb alone", "influxd"),
    app("graphite", "graphite under supervisord: carbon, gunicorn, nginx", *sh(WEB + supervised("carbon=/usr/bin/carbon-cache --debug start", "web=gunicorn --chdir /app web:app", NGINX)[2]), wait=5),
    app("zookeeper", "zookeeper alone", *sh("export ZOOCFGDIR=/etc/zookeeper/conf; cp /etc/zookeeper/conf_example/* /etc/zookeeper/conf/ 2>/dev/null; exec /usr/share/zookeeper/bin/zkServer.sh start-foreground"), wait=6),
    app("puma-sidekiq", "puma and a worker, started by a shell", *sh("printf 'run ->(e){[200,{},[\"\"]]}' > /c.ru; puma -b tcp://0.0.0.0:3000 /c.ru & printf 'loop{sleep 9}' > /w.rb; ruby /w.rb & wait"), wait=5),
    app("starman", "perl's starman under tini", *sh("printf 'sub{[200,[],[]]}' > /a.psgi; exec tini -- starman --listen 0.0.0.0:5000 --workers 3 /a.psgi")),
    app("cgit", "nginx, fcgiwrap and a git daemon: git over the web", *sh("mkdir -p /srv/git; git init -q --bare /srv/git/a; spawn-fcgi -s /run/f.sock /usr/sbin/fcgiwrap; git daemon --base-path=/srv/git --detach; exec nginx -g 'daemon off;'")),
    app("svn", "svnserve alone", *sh("svnadmin create /srv/r; exec svnserve -d --foreground -r /srv")),
    app("ci-runner", "a CI runner in a job: shells, make, a compiler", *sh("cd /tmp; buildbot-worker create-worker w 127.0.0.1 a b; printf 'all:\\n\\tgcc -x c - -o /dev/null < /p\\n' > Makefile; mkfifo /p; (sleep 99 > /p &); make & exec buildbot-worker start --nodaemon w"), wait=5),
    app("distcc", "a compile server alone", "distccd", "--daemon", "--no-detach", "--allow", "0.0.0.0/0", "--user", "distccd"),
    app("apt-cacher", "a package cache alone", *sh("mkdir -p /run/apt-cacher-ng; exec apt-cacher-ng ForeGround=1 -c /etc/apt-cacher-ng")),
    app("etcd", "etcd alone", "etcd", "--data-dir", "/tmp/e"),
    app("gearman", "a job server and its workers under supervisord", *sh(WEB + supervised("jobs=gearmand", f"a={WORKER}", f"b={WORKER}", "web=gunicorn --chdir /app web:app")[2])),
    app("beanstalk", "a queue and two programs by a script", *sh(WEB + f"beanstalkd & {WORKER} & exec gunicorn --chdir /app web:app")),
    app("nats", "nats alone", "nats-server"),
    app("caddy-php", "caddy and php-fpm under supervisord", *sh("mkdir -p /run/php; " + supervised("web=caddy run --config /etc/caddy/Caddyfile --adapter caddyfile", PHP)[2])),
    app("hitch", "hitch before haproxy", *sh("openssl req -x509 -newkey rsa:2048 -nodes -keyout /k -out /c -subj /CN=a -batch; cat /k /c > /p.pem; printf 'frontend f\\n bind :80\\n mode tcp\\n' > /h.cfg; haproxy -D -f /h.cfg; exec hitch -u _hitch --backend=[127.0.0.1]:80 --frontend=[*]:443 /p.pem"), wait=5),
    app("git-ssh", "a git server over sshd alone, somebody pushes", *sh(SSH + "exec /usr/sbin/sshd -D"), then=(*add_users("git"), "docker exec $NAME git init -q --bare /home/git/r", "docker exec $NAME chown -R git /home/git/r", f"docker exec -d $NAME sh -c 'sleep 99 | {SSH_TO.replace('-tt', '-T')} git@127.0.0.1 git-receive-pack r'"), wait=4),
    app("jump", "a jump host: sshd with two tunnels through it", *sh(SSH + "exec /usr/sbin/sshd -D"), then=(*add_users("ann", "bob"), *(f"docker exec -d $NAME {SSH_TO.replace('-tt', '-N -L 127.0.0.1:' + port + ':127.0.0.1:22')}{who}@127.0.0.1" for who, port in (("ann", "9001"), ("bob", "9002")))), wait=4),
    app("notebook", "a Jupyter server with a terminal", *sh("export HOME=/tmp SHELL=/bin/bash; cd /tmp; exec tini -- jupyter notebook --allow-root --ip=0.0.0.0 --no-browser --NotebookApp.token= --NotebookApp.disable_check_xsrf=True"), wait=8, then=("docker exec $NAME curl -sX POST http://127.0.0.1:8888/api/terminals",)),
    app("xrdp", "a desktop over RDP: xrdp, its session manager, an X server with a window manager", *sh("xrdp-sesman; xrdp; Xtigervnc :1 -SecurityTypes None & sleep 2; export DISPLAY=:1; openbox & xterm & wait"), wait=6),
    app("dind", "a Docker in Docker that runs nothing", "dockerd", "--iptables=false", "--bridge=none", "--storage-driver=vfs", options=(*_FREE, "--tmpfs", "/run"), wait=8),
    app("kind", "systemd over containerd, as a node of a cluster in a container", *only("containerd", mask=(*BARE, "docker.service", "docker.socket")), options=SYSTEMD, wait=8, sure=False),
    app("molecule-ssh", "sshd alone, a python of ansible's through it", *sh(SSH + "exec /usr/sbin/sshd -D"), then=(*add_users("ann"), f"docker exec -d $NAME sh -c '{SSH_TO}ann@127.0.0.1 python3 -c \"import\\ time\\;time.sleep\\(99\\)\"'"), wait=4),
    app("dev-ssh", "a dev container: sleep, sshd, and an editor's server by exec", *sh(SSH + "/usr/sbin/sshd; exec sleep infinity"), then=("docker exec -d $NAME node -e 'setInterval(()=>{},1e3)'", "docker exec -dt $NAME bash")),
    app("s6-redis", "s6 over redis alone", *s6(REDIS)),
    app("runit-web", "runit over gunicorn and nginx", *sh(WEB + runit(NGINX, "web=gunicorn --chdir /app web:app")[2])),
    app("openrc-nginx", "OpenRC over nginx alone", *openrc("nginx", getty=False), image=_OPENRC, findings=_ONE, wait=8),
    app("systemd-slapd", "systemd over a directory server alone", *only("slapd", mask=BARE), options=SYSTEMD, wait=8, findings=_ONE, sure=False),
    app("systemd-mail", "systemd over postfix and dovecot: one mail server", *only("postfix", "dovecot", mask=BARE), options=SYSTEMD, wait=9, findings=_ONE, sure=False),
    app("nfs", "an NFS server: rpcbind, statd, mountd", *sh("rpcbind; rpc.statd; exec rpc.mountd -F"), options=_FREE, wait=4),
    app("slurm", "a batch system's three daemons under supervisord", *sh("mkdir -p /run/munge /var/lib/slurm; chown munge /run/munge; printf 'ClusterName=a\\nSlurmctldHost=localhost\\nNodeName=localhost\\nPartitionName=p Nodes=ALL\\nSlurmUser=root\\nProctrackType=proctrack/pgid\\n' > /etc/slurm/slurm.conf; " + supervised('munge=su -s /bin/sh munge -c "exec munged -F"', "ctl=slurmctld -D", "d=slurmd -D -N localhost")[2]), wait=6),
    app("rspamd", "a spam filter and its redis, by a script", *sh("redis-server --daemonize yes; exec rspamd -f -u _rspamd -g _rspamd"), wait=5),
    app("mail-four", "a mail server under supervisord: postfix, dovecot, rspamd, redis", *supervised("postfix=postfix start-fg", "dovecot=dovecot -F", "spam=rspamd -f -u _rspamd -g _rspamd", REDIS), wait=6),
    app("jetty", "jetty alone", *sh("cd /usr/share/jetty9; exec java -Djetty.home=/usr/share/jetty9 -Djetty.base=/usr/share/jetty9 -jar start.jar"), wait=7),
    app("twistd", "a daemon of twisted's, and a tail of its log", *sh("twistd3 --logfile=/l web --listen=tcp:8080 --path=/srv; sleep 2; exec tail -f /l"), wait=5),
    app("inetd", "an inetd alone, that serves telnet", *sh("echo 'telnet stream tcp nowait root /usr/sbin/telnetd telnetd' > /etc/inetd.conf; exec inetd -i")),
    app("incron", "incrond alone", "incrond", "-n"),
    app("busybox-dhcp", "busybox' dhcp server alone", *sh(APPLETS + "mkdir -p /etc /var/lib/misc; touch /var/lib/misc/udhcpd.leases; printf 'start 10.198.7.100\\nend 10.198.7.101\\ninterface eth0\\n' > /etc/udhcpd.conf; exec busybox udhcpd -f"), image=TINY, options=("--cap-add", "NET_ADMIN")),
    app("dump-job", "a job: a dump through a pipe", *sh("(while :; do echo x; sleep 1; done) | gzip | cat > /dev/null")),
    app("dpkg-job", "an apt-get that installs, and runs a maintainer's script", *sh("dpkg-reconfigure -f noninteractive debconf; perl -e 'sleep 999' & exec apt-get update -o Acquire::http::Timeout=300 -o Acquire::Retries=9"), sure=False),
    app("user-jvm", "a JVM of an ordinary user on a read-only root", "java", "-cp", "/usr/share/zookeeper:/usr/share/java/*", "org.apache.zookeeper.server.ZooKeeperServerMain", "2181", "/tmp", options=("--user", "33:33", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"), wait=5),
    app("host-everything", "nginx and php-fpm in the host's namespaces", *sh("mkdir -p /run/php; sed -i s/80/8097/ /etc/nginx/sites-enabled/default; php-fpm8.2; nginx; " + WAIT), options=("--pid", "host", "--network", "host", "--ipc", "host"), findings=("shared_host_namespaces",)),
    app("lxc-web", "nginx in LXC, by its init.cmd", "/usr/sbin/nginx", "-g", "daemon off;", engine="lxc", absent=_ONE),
    app("lxc-script", "a script with a loop in LXC", *sh("while :; do date; sleep 5; done"), engine="lxc"),
    app("lxc-execute", "one program by lxc-execute", "/usr/bin/redis-server", engine="lxc-execute", absent=_ONE),
    app("nspawn-script", "a script in nspawn that starts nginx and waits", "/bin/sh", "-c", "nginx -g 'daemon off;' & wait", engine="nspawn"),
    app("runc-web", "nginx, by runc itself", "/usr/sbin/nginx", "-g", "daemon off;", engine="runc"),
    app("podman-job", "a job in podman", "sh", "-c", "while :; do date; sleep 2; done", engine="podman"),
    app("bwrap-shell", "a shell with a job in bubblewrap", "/bin/sh", "-c", "sleep 999 & wait", engine="bwrap"),
    app("timemachine", "samba and avahi with the dbus that it needs, under supervisord", *sh("mkdir -p /run/dbus; " + supervised("bus=dbus-daemon --system --nofork", "smb=smbd -F --no-process-group", "nmb=nmbd -F --no-process-group")[2]), sure=False),
    app("desktop-bus", "a desktop over VNC under supervisord, with a system's dbus and a session's", *sh("mkdir -p /run/dbus; " + supervised("bus=dbus-daemon --system --nofork", "own=dbus-daemon --session --nofork --address=unix:path=/tmp/bus", "x=Xtigervnc :1 -SecurityTypes None", "wm=env DISPLAY=:1 openbox", "term=env DISPLAY=:1 xterm", "web=websockify 6080 localhost:5901")[2]), wait=7),
    app("selenium", "a browser test's hub: java, Xvfb, a window manager and VNC under supervisord", *supervised("x=Xvfb :1", "wm=env DISPLAY=:1 openbox", "hub=java -cp /usr/share/zookeeper:/usr/share/java/* org.apache.zookeeper.server.ZooKeeperServerMain 2181 /tmp", "web=websockify 6080 localhost:5901"), wait=7),
    app("agent-ssh", "a build agent: sshd, and a java that its master started through it", *sh(SSH + "exec /usr/sbin/sshd -D"), then=(*add_users("ann"), f"docker exec -d $NAME {SSH_TO.replace('-tt', '-T')}ann@127.0.0.1 java -cp '/usr/share/zookeeper:/usr/share/java/*' org.apache.zookeeper.server.ZooKeeperServerMain 2181 /tmp"), wait=5),
    app("web-observed", "nginx with an exporter of its own and a log shipper under supervisord", *sh("mkdir -p /opt/x; printf 'import time\\nwhile True: time.sleep(9)\\n' > /opt/x/nginx-exporter.py; " + supervised(NGINX, "exporter=python3 /opt/x/nginx-exporter.py", "logs=tail -F /var/log/nginx/access.log")[2])),
    app("mysqld-safe", "mariadb under its own script", *sh("mkdir -p /run/mysqld; chown mysql /run/mysqld; exec mariadbd-safe --user=mysql"), wait=6),
    app("tiny-cron-web", "supervisord over nginx, php-fpm and busybox' crond: one web application", *sh("mkdir -p /run/php; " + supervised(NGINX, PHP, "cron=busybox crond -f -c /tmp")[2]), sure=False),
    app("airprint", "cups and avahi with the bus that they need, by a script", *sh("mkdir -p /run/dbus; dbus-daemon --system; cupsd; exec sleep infinity"), sure=False),
    app("router", "a router: a firewall and a wait", *sh("for p in iptables ip6tables; do $p -A INPUT -j ACCEPT; $p -A FORWARD -j DROP; $p -A OUTPUT -j ACCEPT; done; exec sleep infinity"), options=("--cap-add", "NET_ADMIN")),
    app("screen-game", "a java server in a screen of an ordinary user, as pid 1's child", *sh("mkdir -p /run/screen; chmod 777 /run/screen; su -s /bin/sh games -c 'cd /tmp; screen -dm java -cp /usr/share/zookeeper:/usr/share/java/* org.apache.zookeeper.server.ZooKeeperServerMain 2181 /tmp'; exec tail -f /dev/null"), wait=5),
    app("munge-postfix", "postfix as Debian starts it, and a log that is followed", *sh("service postfix start; touch /var/log/mail.log; exec tail -F /var/log/mail.log"), wait=5),
    app("node-pm", "a manager written in node over three programs", *sh("echo 'setInterval(()=>{},1e3)' > /srv/a.js; cp /srv/a.js /srv/b.js; printf 'const s=require(\"child_process\").spawn;process.title=\"PM2 v5.3.0: God Daemon (/root/.pm2)\";for(const n of [\"a\",\"b\",\"a\"])s(\"node\",[\"/srv/\"+n+\".js\"]);setInterval(()=>{},1e3)' > /srv/pm.js; exec node /srv/pm.js")),
    app("celery-beat", "redis, a web application and two celeries under supervisord", *sh(WEB + "printf 'from celery import Celery\\napp=Celery(broker=\"memory://\")\\n' > /app/t.py; " + supervised(REDIS, "web=gunicorn --chdir /app web:app", "w=python3 -m celery --workdir /app -A t worker", "b=python3 -m celery --workdir /app -A t beat -s /tmp/b")[2]), wait=8),
    app("forge-ssh", "a git forge under s6: its program, and an sshd for git alone", *sh(SSH + WEB + ADD_GIT + KEYS_OF_GIT + s6("web=gunicorn --chdir /app web:app", SSHD)[2]), sure=False, image="field:lab"),
    app("mail-kit", "a mail server's image with all: supervisord over postfix, dovecot, cron and rsyslog", *supervised("postfix=postfix start-fg", "dovecot=dovecot -F", CRON, "log=rsyslogd -n -iNONE"), wait=6, sure=False),
    app("postgres-cron", "PostgreSQL, and a cron for its dumps", *sh("service postgresql start; exec cron -f"), wait=6, sure=False),
    app("tini-cron-app", "an application and cron under tini", *sh(WEB + "exec tini -- sh -c 'cron; exec gunicorn --chdir /app web:app'"), sure=False),
    app("web-cron-log", "nginx, cron and rsyslog under runit", *runit(NGINX, CRON, "log=rsyslogd -n -iNONE"), sure=False),
    app("at-cron-web", "atd, cron and caddy by a script", *sh("atd; cron; exec caddy run --config /etc/caddy/Caddyfile --adapter caddyfile"), sure=False),
)  # fmt: skip

SYSTEMS = (
    system("cloud", "systemd with sshd and all that tends a machine: chrony, irqbalance, haveged, lldpd, polkit", *only("ssh", "chrony", "haveged", "lldpd", "dbus"), options=SYSTEMD, wait=9, findings=("docker_as_vm",)),
    system("molecule", "systemd of an ansible target: nothing but itself and dbus", *only("dbus", mask=NO_LOGIN), options=SYSTEMD, wait=7),
    system("systemd-many", "systemd over etcd, slapd and influxdb, without getty, sshd or cron", *only("etcd", "slapd", "influxdb", mask=BARE), options=SYSTEMD, wait=10),
    system("supervisord-many", "supervisord over an FTP server, etcd, a version control server and a queue", *sh("svnadmin create /srv/r; " + supervised("ftp=proftpd -n", "svn=svnserve -d --foreground -r /srv", "queue=beanstalkd", "etcd=etcd --data-dir /tmp/e")[2])),
    system("mail-host", "a script that starts postfix, dovecot, sshd and cron, and waits", *sh(SSH + "postfix start; dovecot; /usr/sbin/sshd; cron; " + WAIT), wait=5),
    system("openrc-many", "OpenRC with sshd, cron, rsyslog and nginx", *openrc("ssh", "cron", "rsyslog", "nginx", getty=False), image=_OPENRC, wait=9),
    system("openrc-idle", "OpenRC with nothing but a getty", *openrc(getty=True), image=_OPENRC, wait=7, options=("-t",)),
    system("lxc-openrc", "OpenRC in LXC with cron, syslog and a getty", *openrc("cron", "rsyslog", getty=True), engine="lxc-openrc", wait=9),
    system("tiny-getty", "busybox init with a getty in LXC", *sh(APPLETS + "mkdir -p /etc; printf 'console::respawn:/bin/getty -L 38400 console\\n' > /etc/inittab; exec /bin/init"), engine="lxc-tiny"),
    system("lxc-loose", "sshd, cron and nginx in LXC, started by a script", *sh(SSH + "/usr/sbin/sshd; cron; nginx; exec sleep infinity"), engine="lxc"),
    system("runc-server", "sshd, cron, rsyslog and nginx, by runc itself", *sh(SSH + "/usr/sbin/sshd -p 2298; cron; rsyslogd -iNONE; exec nginx -g 'daemon off;'"), engine="runc"),
    system("bwrap-server", "sshd, cron and rsyslog in bubblewrap", *sh("mkdir -p /run/sshd; /usr/sbin/sshd -p 2297; cron; rsyslogd -iNONE; exec sleep infinity"), engine="bwrap", sure=False),
    system("pid-host-server", "sshd, cron and nginx in the host's pid namespace", *sh(SSH + "/usr/sbin/sshd -p 2296; cron; nginx; exec sleep infinity"), options=("--pid", "host")),
    system("host-server", "sshd, cron and rsyslog in all of the host's namespaces", *sh(SSH + "/usr/sbin/sshd -p 2295; cron; rsyslogd -iNONE; exec sleep infinity"), options=("--pid", "host", "--network", "host", "--ipc", "host", "--uts", "host"), findings=("docker_as_vm", "shared_host_namespaces")),
    system("inetd-box", "inetd for telnet, cron and a web server, by a script", *sh("echo 'telnet stream tcp nowait root /usr/sbin/telnetd telnetd' > /etc/inetd.conf; inetd; cron; exec nginx -g 'daemon off;'")),
    system("docker-host", "systemd with dockerd, sshd and cron", *only("containerd", "ssh", "cron", mask=NO_LOGIN), options=SYSTEMD, wait=9),
    system("samba-box", "a file server: samba, sshd, cron, and a time server", *sh(SSH + "smbd -D; nmbd -D; /usr/sbin/sshd; cron; exec chronyd -d -x")),
    system("lxc-app-ssh", "Debian in LXC with nginx and sshd", *booted("nginx", "ssh", mask=NO_LOGIN), engine="lxc", wait=7),
    system("lxc-dbus", "Debian in LXC with nothing but dbus and logind", *booted("dbus", mask=NO_LOGIN), engine="lxc", wait=7),
    system("desk-server", "systemd with NetworkManager, polkit, bluetooth and sshd", *only("ssh", "NetworkManager", "bluetooth", "polkit"), options=SYSTEMD, wait=9),
    system("pair", "sshd and rsyslog, by a script", *sh(SSH + "/usr/sbin/sshd; exec rsyslogd -n -iNONE")),
    system("podman-systemd", "Debian booted in podman", *booted("ssh", "cron"), engine="podman", options=("--systemd=always",), wait=7),
    system("nspawn-ssh", "Debian booted in nspawn with sshd and nginx", "--boot", engine="nspawn", wait=9),
    system("host-net-systemd", "systemd with sshd and cron on the host's network", *sh("sed -i 's/^#Port 22/Port 2294/' /etc/ssh/sshd_config; rm -f /etc/rc?.d/*; " + booted("ssh", "cron")[2]), options=(*SYSTEMD, "--network", "host"), wait=8),
    system("user-manager", "systemd with somebody's own manager, sshd and dbus", *only("ssh", "dbus"), options=SYSTEMD, wait=8, then=(*add_users("ann"), log_in("ann"))),
)  # fmt: skip

SCENARIOS = (*APPS, *SYSTEMS)
