"""A sixth round: what lies between the two ideas, each labelled before it was built or judged.

Products that nobody has heard of with an sshd of their own and servers that somebody made by hand
have the same process tree; the label says which of the two each was made as. The image ``hard`` is
a root of Debian 12 with what the commands name, the files of systemd-cron (``dpkg -x``) and
``/prog`` of the fifth round.
"""

from __future__ import annotations

from typing import Any

from tests.corpus.images import (
    APACHE,
    BOXCRON,
    BOXDIR,
    DB,
    DBDIR,
    DOVECOT,
    FAIL2BAN,
    JAIL,
    PHPDIR,
    POSTFIX,
    RSYSLOG,
    SNMPDIR,
    after,
    program,
)
from tests.corpus.scenarios import (
    ADD_GIT,
    BARE,
    CRON,
    NGINX,
    NO_LOGIN,
    PHP,
    REDIS,
    SSH,
    SSH_TO,
    SSHD,
    SYSTEMD,
    Scenario,
    add_users,
    booted,
    log_in,
    runit,
    s6,
    sh,
    supervised,
)
from tests.corpus.zoo import WEB, WORKER

LABELLED = "2026-11-30"

_IMAGE = "hard:lab"
_LXC = {"engine": "lxc", "image": "debian:lab"}
_OPEN = ("docker_as_vm",)
"""What may not be said of a product."""


def _people(*names: str) -> str:
    """Return the script that makes accounts with a shell and a password."""
    return "".join(
        f"useradd -m -s /bin/bash {name}; echo {name}:secret | chpasswd; " for name in names
    )


def _vsftpd(options: str = "") -> str:
    return (
        "mkdir -p /run/vsftpd/empty; "
        f"sed -i 's/listen=NO/listen=YES/;s/listen_ipv6=YES/{options}/' /etc/vsftpd.conf; "
    )


_FTP = "ftp=/usr/sbin/vsftpd /etc/vsftpd.conf"
_NRPE = (
    "mkdir -p /run/nagios; printf 'service nrpe\\n{\\n type = UNLISTED\\n port = 5666\\n "
    "socket_type = stream\\n wait = no\\n user = nagios\\n server = /usr/sbin/nrpe\\n "
    "server_args = -c /etc/nagios/nrpe.cfg --inetd\\n}\\n' > /etc/xinetd.d/nrpe; "
)
_AGENT = (
    "printf 'service agent\\n{\\n type = UNLISTED\\n port = 6556\\n socket_type = stream\\n "
    "wait = no\\n user = root\\n server = /usr/bin/uptime\\n}\\n' > /etc/xinetd.d/agent; "
)
_TELNET = (
    "printf 'service telnet\\n{\\n port = 23\\n socket_type = stream\\n wait = no\\n user = root\\n"
    " server = /usr/bin/login\\n}\\n' > /etc/xinetd.d/telnet; "
)
_CORE = program("/opt/watch/bin/core")
_WEB_OF = "chpst -u git gunicorn --chdir /app -b 0.0.0.0:8000 web:app"


def app(name: str, about: str, *command: str, **more: Any) -> Scenario:
    """Return a container that is one application, which not everybody would say."""
    return _scenario(name, "app", about, *command, **{"sure": False, **more})


def system(name: str, about: str, *command: str, **more: Any) -> Scenario:
    """Return a container that is a small server."""
    return _scenario(name, "system", about, *command, **more)


def _scenario(name: str, style: str, about: str, *command: str, **more: Any) -> Scenario:
    settings = {"image": _IMAGE, "wait": 7, **more}
    return Scenario(
        name=name, style=style, about=about, command=command, labelled=LABELLED, **settings
    )


_PRODUCTS = (
    app("hard-forge-plain", "a forge of whom nobody has heard: s6 over it and the system's sshd, in which all keys are of git", *after(program("/usr/local/bin/oakd") + ADD_GIT, s6("oak=chpst -u git /usr/local/bin/oakd 3000", SSHD)), absent=_OPEN),
    app("hard-forge-root", "a forge below its prefix that runs as root: supervisord over it and the system's sshd", *after(program("/opt/birch/bin/birchd") + ADD_GIT, supervised("birch=/opt/birch/bin/birchd 3000", SSHD)), absent=_OPEN),
    app("hard-forge-logs", "an older forge: s6 over it, sshd, and busybox' syslogd and crond", *after(program("/app/elm/elm") + BOXDIR + ADD_GIT, s6("elm=chpst -u git /app/elm/elm 3000", SSHD, BOXCRON, "log=busybox syslogd -n")), absent=_OPEN),
    app("hard-forge-dropbear", "a small forge: a script over dropbear and a python program", *sh(WEB + ADD_GIT + "mkdir -p /etc/dropbear; dropbear -R -E; exec chpst -u git gunicorn --chdir /app -b 0.0.0.0:8000 web:app"), absent=_OPEN),
    app("hard-forge-tinyssh", "a small forge: runit over tinysshd by tcpserver, and its program", *after(program("/app/ash/ash") + ADD_GIT + "mkdir -p /etc/tinyssh; tinysshd-makekey /etc/tinyssh/k; ", runit("ssh=tcpserver -HRDl0 0.0.0.0 22 /usr/sbin/tinysshd -v /etc/tinyssh/k", "ash=chpst -u git /app/ash/ash 3000")), absent=_OPEN),
    app("hard-forge-php", "a code review in php: supervisord over nginx, php-fpm, mariadb and an sshd for its repositories", *after(PHPDIR + DBDIR + "useradd -m -s /bin/bash vcs; ", supervised(NGINX, PHP, DB, SSHD)), absent=_OPEN, wait=9),
    app("hard-forge-parts", "a forge with all it needs: supervisord over nginx, a python server, its worker, redis, sshd and cron", *after(WEB + ADD_GIT, supervised(NGINX, f"web={_WEB_OF}", f"jobs=chpst -u git {WORKER}", REDIS, SSHD, CRON)), absent=_OPEN, wait=8),
    app("hard-exchange", "an exchange of files: a python program, and an sshd through which its one account uploads", *sh(SSH + WEB + "useradd -m -s /bin/bash upload; /usr/sbin/sshd; exec chpst -u upload gunicorn --chdir /app -b 0.0.0.0:8000 web:app"), absent=_OPEN),
    app("hard-database-ssh", "a database of its maker's image, all below /opt, with the rsyslog and sshd that come with it", *after(program("/opt/vela/libexec/vela"), supervised("db=/opt/vela/libexec/vela 9042", RSYSLOG, SSHD)), absent=_OPEN),
    app("hard-drop-box", "a drop box: sshd for partners without a shell, a program that takes what they bring, and rsyslog", *sh(SSH + program("/opt/drop/bin/drop") + "".join(f"useradd -m -s /usr/sbin/nologin {n}; " for n in ("alpha", "beta", "gamma")) + "printf 'Subsystem sftp internal-sftp\\n' >> /etc/ssh/sshd_config; sed -i '/sftp-server/d' /etc/ssh/sshd_config; rsyslogd -iNONE; /usr/sbin/sshd; exec /opt/drop/bin/drop 8080"), absent=_OPEN),
)  # fmt: skip
"""One product each, with a login service through which it gives out what it keeps."""

_BY_HAND = (
    system("hard-own-app-people", "an application of two people's own, with an sshd for both: a script over it, sshd and cron", *sh(SSH + WEB + _people("ann", "bob") + "/usr/sbin/sshd; cron; exec gunicorn --chdir /app -b 0.0.0.0:8000 web:app"), findings=_OPEN),
    system("hard-own-app-root", "an application of one's own and an sshd with a password for root, under supervisord", *after(WEB + "echo root:secret | chpasswd; echo PermitRootLogin yes >> /etc/ssh/sshd_config; ", supervised("web=gunicorn --chdir /app -b 0.0.0.0:8000 web:app", SSHD)), findings=_OPEN),
    system("hard-own-app-keys", "an application of one's own, and an sshd for its owner by a key of root's, under supervisord", *after(WEB + "mkdir -p -m 700 /root/.ssh; ssh-keygen -qN '' -t ed25519 -f /root/.ssh/id; cp /root/.ssh/id.pub /root/.ssh/authorized_keys; ", supervised("web=gunicorn --chdir /app -b 0.0.0.0:8000 web:app", SSHD)), sure=False),
    system("hard-own-app-at-work", "an application of one's own, and its owner at a shell in it over ssh", *sh(SSH + WEB + "/usr/sbin/sshd; exec gunicorn --chdir /app -b 0.0.0.0:8000 web:app"), then=(*add_users("ann"), log_in("ann"))),
    system("hard-two-products", "two products of two people with a cron for both and an sshd", *sh(SSH + WEB + program("/opt/shop/bin/shop") + _people("ann", "bob") + "".join(f"printf '5 * * * * /home/{n}/job\\n' > /var/spool/cron/crontabs/{n}; chown {n}:crontab /var/spool/cron/crontabs/{n}; chmod 600 /var/spool/cron/crontabs/{n}; " for n in ("ann", "bob")) + "/usr/sbin/sshd; cron; /opt/shop/bin/shop 8081 & exec gunicorn --chdir /app -b 0.0.0.0:8000 web:app"), findings=_OPEN),
    system("hard-dev-box", "a developer's box: a script over sshd with a password for them, redis, and their program, which they run", *sh(SSH + WEB + _people("dev") + "/usr/sbin/sshd; redis-server --daemonize yes; exec chpst -u dev gunicorn --chdir /app -b 0.0.0.0:8000 web:app"), sure=False),
    system("hard-dev-editor", "a developer's box: an editor's server and an sshd, both for the one who works there, by a key", *after(program("/usr/lib/editor/bin/editor") + "useradd -m -s /bin/bash dev; ", supervised("ide=chpst -u dev /usr/lib/editor/bin/editor 8080", SSHD)), sure=False),
    system("hard-notebook-keys", "a researcher's box: a notebook and an sshd, with a key and no password", *after(program("/opt/conda/bin/notebook") + "useradd -m -s /bin/bash jo; ", supervised("nb=chpst -u jo /opt/conda/bin/notebook 8888", SSHD)), sure=False),
    system("hard-web-ssh-root", "nginx and an sshd with a password for root, by a script", *sh(SSH + "echo root:secret | chpasswd; /usr/sbin/sshd; exec nginx -g 'daemon off;'"), findings=_OPEN),
    system("hard-lxc-booted", "somebody's server in LXC for one program: systemd with sshd, cron and nginx", *after("rm -f /etc/rc?.d/*; ", booted("ssh", "cron", "nginx", mask=NO_LOGIN)), **{**_LXC, "wait": 12}),
    system("hard-lxc-by-hand", "somebody's server in LXC: a script over redis, sshd and cron", *sh(SSH + "/usr/sbin/sshd; cron; exec redis-server"), **_LXC),
)  # fmt: skip
"""Servers that somebody made by hand, for themselves or for others."""

_MONITORS = (
    app("hard-watch", "a monitoring product: a script over apache, its core below /opt, cron, and xinetd for its agents", *sh(_CORE + _AGENT + "apache2ctl start; cron; /opt/watch/bin/core 6557 & exec xinetd -dontfork"), absent=_OPEN),
    app("hard-watch-host", "the same on the host's network", *sh(_CORE + _AGENT + "cron; /opt/watch/bin/core 16557 & exec xinetd -dontfork"), options=("--network", "host"), absent=_OPEN),
    app("hard-nrpe", "nginx, and NRPE by which it is watched, under supervisord", *after("mkdir -p /run/nagios; chown nagios /run/nagios; ", supervised(NGINX, "nrpe=/usr/sbin/nrpe -n -f -c /etc/nagios/nrpe.cfg")), absent=_OPEN),
    app("hard-nrpe-xinetd", "nginx, and NRPE by xinetd, by a script", *sh(_NRPE + "xinetd; exec nginx -g 'daemon off;'"), absent=_OPEN),
    system("hard-xinetd-telnet", "nginx and cron, and xinetd for telnet, by a script", *sh(_TELNET + "xinetd; cron; exec nginx -g 'daemon off;'")),
    app("hard-agents", "munin's node and snmpd beside postfix, with rsyslog, by a script", *sh("mkdir -p /run/munin /var/log/munin; " + SNMPDIR + "rsyslogd -iNONE; munin-node; snmpd; exec postfix start-fg"), absent=_OPEN),
)  # fmt: skip
"""Monitors, and those who are watched."""

_FILES = (
    app("hard-ftp-site", "a site and the FTP server that fills it, with cron, under supervisord", *after(_vsftpd(), supervised(NGINX, _FTP, CRON)), absent=_OPEN),
    system("hard-ftp-people", "a site, and an FTP server for the files of three people, with cron, under supervisord", *after(_vsftpd("local_enable=YES") + _people("ann", "bob", "cyd"), supervised(NGINX, _FTP, CRON)), sure=False),
    app("hard-ftp-kept", "an FTP server with its log, a cron and fail2ban, by a script", *sh(JAIL + _vsftpd() + "rsyslogd -iNONE; cron; fail2ban-server -b; exec vsftpd"), absent=_OPEN),
    app("hard-rsync-cron", "a mirror: rsync's daemon, nginx that shows it, and the cron that fetches, under supervisord", *after("printf '[x]\\npath=/srv\\n' > /etc/rsyncd.conf; ", supervised("rsync=rsync --daemon --no-detach", NGINX, CRON)), absent=_OPEN),
    app("hard-jump", "a jump host: sshd with fail2ban and the log that it reads, by a script", *sh(SSH + JAIL + "rsyslogd -iNONE; fail2ban-server -b; exec /usr/sbin/sshd -D -e"), absent=_OPEN),
    system("hard-jump-proxy", "a jump host for three people that is their proxy, too, by a script", *sh(SSH + _people("ann", "bob", "cyd") + "mkdir -p /run/tinyproxy; tinyproxy; exec /usr/sbin/sshd -D -e"), sure=False),
    system("hard-jump-people", "a jump host on which two people are at work, with its log and cron", *sh(SSH + "rsyslogd -iNONE; cron; exec /usr/sbin/sshd -D -e"), then=(*add_users("ann", "bob"), log_in("ann"), log_in("bob"))),
)  # fmt: skip
"""What gives out files, and ways into a network."""

_JOBS = (
    app("hard-runner", "a CI runner and the job that it runs", *sh(program("/usr/local/bin/runner") + "git init -q /b; printf 'import subprocess as s\\ns.Popen([\"sh\",\"-c\",\"sleep 600; true\"],cwd=\"/b\")\\ns.call([\"/usr/local/bin/runner\",\"8093\"])\\n' > /run.py; exec python3 /run.py"), sure=True),
    app("hard-agent-ssh", "a build agent: sshd, and the agent that its controller started over it", *sh(SSH + program("/opt/agent/agent") + "exec /usr/sbin/sshd -D -e"), then=(*add_users("jenkins"), f"docker exec -d $NAME {SSH_TO.replace('-tt ', '')}jenkins@127.0.0.1 /opt/agent/agent 9000"), absent=_OPEN),
    system("hard-runner-people", "a build machine of three people: a runner, sshd and cron, under supervisord", *after(program("/usr/local/bin/runner") + _people("ann", "bob", "cyd"), supervised("run=/usr/local/bin/runner 8093", SSHD, CRON)), findings=_OPEN),
    system("hard-systemd-cron", "systemd over nginx, with systemd-cron in place of a cron", *after("rm -f /etc/rc?.d/*; ", booted("nginx", "cron.target", mask=BARE)), options=SYSTEMD, sure=False, wait=12),
    system("hard-systemd-cron-ssh", "systemd over nginx and sshd, with systemd-cron in place of a cron", *after("rm -f /etc/rc?.d/*; ", booted("nginx", "ssh", "cron.target", mask=BARE)), options=SYSTEMD, wait=12),
    app("hard-mail-web", "a mail server with its webmail in LXC, told to run a script: postfix, dovecot, nginx, php-fpm, cron and rsyslog", *sh("ip link set lo up; mkdir -p /run/php; rsyslogd -iNONE; cron; postfix start; dovecot; php-fpm8.2; exec nginx -g 'daemon off;'"), **{**_LXC, "wait": 9}),
    system("hard-mail-booted", "a mail server with its webmail in LXC: systemd over postfix, dovecot, nginx, php-fpm, mariadb, cron and rsyslog", *after("rm -f /etc/rc?.d/*; ", booted("postfix", "dovecot", "nginx", "php8.2-fpm", "mariadb", "cron", "rsyslog", mask=NO_LOGIN)), **{**_LXC, "wait": 16}),
    app("hard-lxc-product", "a product in LXC that was told to run it: a script over its program below /opt, and cron", *sh("mkdir -p /opt/reef/bin; cp /prog /opt/reef/bin/reef; cron; exec /opt/reef/bin/reef 8080"), **_LXC),
)  # fmt: skip
"""Builders, jobs, and what runs in LXC."""

_PANELS = (
    system("hard-panel-small", "a hosting panel: supervisord over nginx, php-fpm, mariadb, postfix, dovecot, FTP and sshd, with three customers", *after(PHPDIR + DBDIR + _vsftpd("local_enable=YES") + _people("shop", "club", "band"), supervised(NGINX, PHP, DB, POSTFIX, DOVECOT, _FTP, SSHD)), findings=_OPEN, wait=10),
    system("hard-panel-unknown", "a panel of whom nobody has heard: supervisord over it, apache, mariadb, FTP, bind and sshd", *after(program("/usr/local/panel/panel") + DBDIR + _vsftpd(), supervised("panel=/usr/local/panel/panel 8083", APACHE, DB, _FTP, "dns=named -g -u bind", SSHD)), wait=9),
    system("hard-panel-sites", "a panel that rents out sites and shells: its program, nginx, a pool of php-fpm for each of three customers, and sshd", *after(program("/usr/local/panel/panel") + PHPDIR + "".join(f"useradd -m -s /bin/bash {n}; printf '[{n}]\\nuser={n}\\ngroup={n}\\nlisten=/run/php/{n}\\npm=static\\npm.max_children=2\\n' > /etc/php/8.2/fpm/pool.d/{n}.conf; " for n in ("shop", "club", "band")), supervised("panel=/usr/local/panel/panel 8083", NGINX, PHP, SSHD)), findings=_OPEN, wait=8),
    system("hard-base-ssh", "sshd, cron and rsyslog beside a program of one's own, under runit, with fail2ban", *after(JAIL + WEB, runit(SSHD, CRON, RSYSLOG, FAIL2BAN, "own=gunicorn --chdir /app -b 0.0.0.0:8000 web:app")), sure=False),
)  # fmt: skip
"""What is rented out, and a base image that somebody made a server of."""

_JAVA = "/opt/maple/jre/bin/java -jar /opt/maple/maple.war"
_STARTS = (
    'mkdir -p /srv/forge; printf \'import subprocess as s\\nfor c in (["/usr/sbin/sshd","-D"],'
    '["/usr/bin/python3","/srv/forge/worker.py"]): s.Popen(c)\\n'
    "import time\\nwhile 1: time.sleep(9)\\n' > /srv/forge/start.py; "
    "printf 'import time\\nwhile 1: time.sleep(9)\\n' > /srv/forge/worker.py; "
)

_AGAIN_APPS = (
    app("again-forge-java", "a forge in a JVM below its prefix, its mariadb, and an sshd for git, under supervisord", *after(program("/opt/maple/jre/bin/java") + DBDIR + ADD_GIT, supervised(f"maple=chpst -u git {_JAVA} 8080", DB, SSHD)), absent=_OPEN, wait=8),
    app("again-forge-exec", "a forge that its script becomes when it has started sshd and cron", *sh(SSH + program("/usr/local/bin/pined") + ADD_GIT + "/usr/sbin/sshd; cron; exec chpst -u git /usr/local/bin/pined 3000"), absent=_OPEN),
    app("again-forge-holds", "a forge in python that starts its worker and the sshd for its repositories itself", *sh(SSH + ADD_GIT + _STARTS + "exec python3 /srv/forge/start.py"), absent=_OPEN),
    app("again-git-pages", "pages of repositories in python, nginx before them, and an sshd whose one account has git's shell", *after(WEB + "useradd -m -s /usr/bin/git-shell git; ", supervised(NGINX, "web=gunicorn --chdir /app web:app", SSHD)), absent=_OPEN),
    app("again-site-uploads", "a site, and an sshd by which one account without a shell uploads it, by a rule for that account", *after("useradd -m -s /usr/sbin/nologin deploy; printf 'Match User deploy\\n ForceCommand internal-sftp\\n' >> /etc/ssh/sshd_config; ", supervised(NGINX, SSHD)), absent=_OPEN),
    app("again-backups", "a place for backups: sshd, rsync's daemon and the cron that prunes, by a script", *sh(SSH + "useradd -m -s /bin/bash keep; printf '[x]\\npath=/srv\\n' > /etc/rsyncd.conf; rsync --daemon; cron; exec /usr/sbin/sshd -D -e"), absent=_OPEN),
    app("again-metrics-tunnel", "a store of metrics below /opt, and an sshd for tunnels, whose account has no shell", *after(program("/opt/meter/bin/meter") + "useradd -m -s /usr/sbin/nologin tunnel; ", supervised("m=/opt/meter/bin/meter 9090", SSHD)), absent=_OPEN),
    app("again-systemd-product", "systemd over one product below /opt and nothing else", *after("rm -f /etc/rc?.d/*; " + program("/opt/reef/bin/reef") + "printf '[Service]\\nExecStart=/opt/reef/bin/reef 8080\\n[Install]\\nWantedBy=multi-user.target\\n' > /etc/systemd/system/reef.service; ", booted("reef", mask=BARE)), options=SYSTEMD, wait=12, findings=("single_app_in_system_container",)),
    app("again-workers", "three workers in python with cron and rsyslog, under supervisord", *after(WEB, supervised(f"a={WORKER}", f"b={WORKER}", f"c={WORKER}", CRON, RSYSLOG)), absent=_OPEN),
    app("again-product-ftp", "a product below /opt and the FTP server through which it is fed, with cron, under supervisord", *after(program("/opt/reef/bin/reef") + _vsftpd(), supervised("reef=/opt/reef/bin/reef 8080", _FTP, CRON)), absent=_OPEN),
    app("again-name-panel", "a name server with its pages in python, snmpd and cron, under supervisord", *after(WEB + SNMPDIR, supervised("dns=named -g -u bind", "web=gunicorn --chdir /app -b 0.0.0.0:8000 web:app", "snmp=snmpd -f -Lo", CRON)), absent=_OPEN),
    app("again-watch-ssh", "a monitoring appliance: its core below /opt, apache, postfix, cron, xinetd and an sshd, by a script", *sh(SSH + _CORE + _AGENT + "useradd -m -s /bin/bash site; apache2ctl start; postfix start; cron; xinetd; /usr/sbin/sshd; exec chpst -u site /opt/watch/bin/core 6557"), absent=_OPEN, wait=9),
    app("again-gateway", "a gateway for browsers below /opt, and an sshd for the same people's tunnels", *sh(SSH + program("/opt/gate/bin/gate") + "/usr/sbin/sshd; exec /opt/gate/bin/gate 8443"), absent=_OPEN),
    app("again-database-kept", "mariadb with cron and rsyslog, under runit", *after(DBDIR, runit(DB, CRON, RSYSLOG)), absent=_OPEN, wait=8),
    app("again-inetd-ftp", "an FTP server by xinetd, and cron, by a script", *sh("mkdir -p /run/vsftpd/empty; printf 'service ftp\\n{\\n port = 21\\n socket_type = stream\\n wait = no\\n user = root\\n server = /usr/sbin/vsftpd\\n}\\n' > /etc/xinetd.d/ftp; cron; exec xinetd -dontfork"), absent=_OPEN),
    app("again-board", "a bulletin board that people reach by telnet: its program below /opt, and xinetd, by a script", *sh("printf 'service telnet\\n{\\n port = 23\\n socket_type = stream\\n wait = no\\n user = nobody\\n server = /opt/board/bin/door\\n}\\n' > /etc/xinetd.d/telnet; " + program("/opt/board/bin/board") + "xinetd; exec /opt/board/bin/board 8080"), absent=_OPEN),
)  # fmt: skip
"""A second draw, labelled and built when the rules had been revised for the first one."""

_AGAIN_SYSTEMS = (
    system("again-home", "somebody's program, which runs in their home as them, and an sshd for them, by a key", *after("useradd -m -s /bin/bash ann; mkdir -p /home/ann/app; cp /prog /home/ann/app/server; ", supervised("a=chpst -u ann /home/ann/app/server 8000", SSHD)), sure=False),
    system("again-students", "a machine for five students: sshd, cron and a program that all of them use", *sh(SSH + WEB + _people("a1", "a2", "a3", "a4", "a5") + "/usr/sbin/sshd; cron; exec gunicorn --chdir /app -b 0.0.0.0:8000 web:app"), findings=_OPEN),
    system("again-lamp-root", "apache with php, mariadb, cron, and an sshd with a password for root, by a script", *sh(SSH + DBDIR + "echo root:secret | chpasswd; mariadbd --user=mysql & /usr/sbin/sshd; cron; exec apache2ctl -D FOREGROUND"), findings=_OPEN, wait=8),
    system("again-names-time", "a name server and a time server, and dropbear for who looks after both", *sh("mkdir -p /etc/dropbear; dropbear -R; chronyd -x; exec named -g -u bind")),
    system("again-lxc-lemp", "somebody's web server in LXC by a script: nginx, php-fpm, mariadb, sshd and cron", *sh(SSH + DBDIR + PHPDIR + "ip link set lo up; echo root:secret | chpasswd; /usr/sbin/sshd; cron; php-fpm8.2; mariadbd --user=mysql & exec nginx -g 'daemon off;'"), **{**_LXC, "wait": 9}),
    system("again-systemd-ssh", "systemd over one product below /opt, and sshd", *after("rm -f /etc/rc?.d/*; " + program("/opt/reef/bin/reef") + "printf '[Service]\\nExecStart=/opt/reef/bin/reef 8080\\n[Install]\\nWantedBy=multi-user.target\\n' > /etc/systemd/system/reef.service; ", booted("reef", "ssh", mask=BARE)), options=SYSTEMD, wait=12),
    system("again-mail-ssh", "a mail server, its log, and an sshd for who looks after it, by a script", *sh(SSH + "rsyslogd -iNONE; postfix start; dovecot; exec /usr/sbin/sshd -D -e"), wait=8),
    system("again-two-sites", "the sites of two people: nginx, a program of each that runs as them, and sshd", *after(WEB + "useradd -m -s /bin/bash ann; useradd -m -s /bin/bash bob; ", supervised(NGINX, "a=chpst -u ann gunicorn --chdir /app -b 127.0.0.1:8001 web:app", "b=chpst -u bob gunicorn --chdir /app -b 127.0.0.1:8002 web:app", SSHD)), findings=_OPEN),
    system("again-build-farm", "a builder that answers others, and an sshd with a password for its owner", *sh(SSH + program("/usr/local/bin/builderd") + _people("ann") + "/usr/sbin/sshd; exec /usr/local/bin/builderd 3632"), findings=_OPEN),
    system("again-replica", "mariadb and the sshd by which its copies are made, under supervisord", *after(DBDIR, supervised(DB, SSHD)), wait=8),
    system("again-games", "a game in a screen that a script started, cron, and an sshd for who looks after it", *sh(SSH + program("/home/game/srv") + "useradd -d /home/game -s /bin/bash game; chown -R game /home/game; mkdir -p -m 777 /run/screen; su game -c 'export TERM=xterm; screen -dmS g /home/game/srv 27015'; cron; exec /usr/sbin/sshd -D -e"), sure=False),
)  # fmt: skip
"""Servers of the second draw."""

_HOLDS = (
    'printf \'import subprocess as s\\nfor c in (["/usr/sbin/sshd","-D"],["cron","-f"],'
    '["gunicorn","--chdir","/app","web:app"]): s.Popen(c)\\n'
    "import time\\nwhile 1: time.sleep(9)\\n' > /start.py; "
)

_LAST = (
    app("last-forge-users", "a forge whose web part and whose store run as accounts of their own, with an sshd", *after(program("/opt/yew/web") + program("/opt/yew/store") + "useradd -m -s /bin/bash yew; useradd -m -s /bin/bash yewdb; ", supervised("w=chpst -u yew /opt/yew/web 3000", "s=chpst -u yewdb /opt/yew/store 5500", SSHD)), absent=_OPEN),
    app("last-forge-package", "a forge as a package of a distribution, with a postfix that only sends, sshd and cron", *sh(SSH + program("/usr/bin/larchd") + ADD_GIT + "postfix start; cron; /usr/sbin/sshd; exec chpst -u git /usr/bin/larchd 3000"), absent=_OPEN, wait=8),
    app("last-files-web", "files of partners: a browser for them in python, and an sshd for uploads whose accounts have no shell", *sh(SSH + WEB + "".join(f"useradd -m -s /bin/false {n}; " for n in ("p1", "p2", "p3")) + "/usr/sbin/sshd; exec gunicorn --chdir /app -b 0.0.0.0:8000 web:app"), absent=_OPEN),
    app("last-repositories", "repositories: git's daemon to read them and an sshd to write them, by a script", *sh(SSH + ADD_GIT + "/usr/sbin/sshd; exec git daemon --reuseaddr --base-path=/srv"), absent=_OPEN),
    app("last-watched", "apache, and the agents that watch it, with cron, under supervisord", *after(SNMPDIR, supervised(APACHE, "snmp=snmpd -f -Lo", "nrpe=/usr/sbin/nrpe -n -f -c /etc/nagios/nrpe.cfg", CRON)), absent=_OPEN),
    app("last-forge-inetd", "a forge, and an sshd for each connection, by xinetd", *sh(SSH + program("/opt/fir/bin/fir") + ADD_GIT + "printf 'service ssh\\n{\\n port = 22\\n socket_type = stream\\n wait = no\\n user = root\\n server = /usr/sbin/sshd\\n server_args = -i\\n}\\n' > /etc/xinetd.d/ssh; xinetd; exec chpst -u git /opt/fir/bin/fir 3000"), absent=_OPEN),
    app("last-mirror", "a mirror: rsync's daemon and nginx, by a script", *sh("printf '[x]\\npath=/srv\\n' > /etc/rsyncd.conf; rsync --daemon; exec nginx -g 'daemon off;'"), absent=_OPEN),
    app("last-mail-kept", "postfix and dovecot with rsyslog, cron and fail2ban, by a script", *sh(JAIL + "rsyslogd -iNONE; cron; fail2ban-server -b; dovecot; exec postfix start-fg"), absent=_OPEN, wait=8),
    system("last-office", "a small office's server: apache, postfix and an sshd, by which two people look after it with keys", *sh(SSH + "useradd -m -s /bin/bash ann; useradd -m -s /bin/bash bob; postfix start; /usr/sbin/sshd; exec apache2ctl -D FOREGROUND"), findings=_OPEN, wait=8),
    system("last-holds", "a python program that starts sshd, cron and a web application, with a password for root", *sh(SSH + WEB + _HOLDS + "echo root:secret | chpasswd; exec python3 /start.py"), findings=_OPEN),
    system("last-lxc-product-ssh", "somebody's server in LXC for one product: a script over it, sshd, with a password for root, and cron", *sh(SSH + "mkdir -p /opt/reef/bin; cp /prog /opt/reef/bin/reef; echo root:secret | chpasswd; ip link set lo up; /usr/sbin/sshd; cron; exec /opt/reef/bin/reef 8080"), **_LXC),
    system("last-tmux", "an sshd and a program of one's own, and a tmux that its owner left in it", *sh(SSH + WEB + "/usr/sbin/sshd; exec gunicorn --chdir /app -b 0.0.0.0:8000 web:app"), then=(*add_users("ann"), f"docker exec $NAME {SSH_TO}ann@127.0.0.1 tmux new -d")),
    system("last-telnet", "busybox' telnetd, crond and syslogd beside nginx, by a script", *sh(BOXDIR + "busybox telnetd -l /bin/login; busybox crond -b -c /etc/boxcron; busybox syslogd; exec nginx -g 'daemon off;'")),
    system("last-systemd-forge", "systemd over a forge, its sshd and cron", *after("rm -f /etc/rc?.d/*; " + program("/opt/yew/web") + ADD_GIT + "printf '[Service]\\nUser=git\\nExecStart=/opt/yew/web 3000\\n[Install]\\nWantedBy=multi-user.target\\n' > /etc/systemd/system/yew.service; ", booted("yew", "ssh", "cron", mask=BARE)), options=SYSTEMD, sure=False, wait=12),
)  # fmt: skip
"""A third draw, when the rules had been revised for the second one, too."""

SCENARIOS = (
    *(*_PRODUCTS, *_BY_HAND, *_MONITORS, *_FILES, *_JOBS, *_PANELS),
    *(*_AGAIN_APPS, *_AGAIN_SYSTEMS, *_LAST),
)
