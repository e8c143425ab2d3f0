"""A sixth round: products with their housekeeping, panels, file services, and who keeps the time.

The same image as in images.py, with more of Debian's servers in it. Of what plays cron or syslog,
those that Debian packages are the real programs; where no package of Debian has it (dcron, fcron,
supercronic, metalog, vector, and all products' own servers) ``/prog`` runs under its name.
The image ``cronie`` is a root of Debian 13, the first release that has cronie.
"""

from __future__ import annotations

from tests.corpus.images import (
    APACHE,
    BOXCRON,
    BOXDIR,
    DB,
    DBDIR,
    DOVECOT,
    FAIL2BAN,
    JAIL,
    PG,
    PHPDIR,
    POSTFIX,
    RSPAMD,
    RSYSLOG,
    SYSLOG_NG,
    after,
    app,
    my_init,
    one,
    program,
    system,
)
from tests.corpus.scenarios import (
    ADD_GIT,
    CRON,
    GIVES_FILES,
    KEYS_OF_GIT,
    NGINX,
    PHP,
    REDIS,
    SSH,
    SSHD,
    SYSTEMD,
    booted,
    runit,
    s6,
    sh,
    supervised,
)
from tests.corpus.zoo import WAIT, WEB, only

_JAVA = "/usr/lib/jvm/java-17/bin/java"
_JVM = program(_JAVA)
_PEOPLE = 'useradd -m -s /bin/bash ann; useradd -m -s /bin/bash bob; for u in ann bob; do echo "*/5 * * * * /home/$u/feed.sh" > /var/spool/cron/crontabs/$u; done; '

_MAIL = (
    app("prod-mail-full", "a mail server image: dumb-init and supervisord over postfix, dovecot, rspamd, opendkim, postgrey, spamd, rsyslog, cron, fail2ban and a script that watches its configuration", "dumb-init", *after(JAIL + "mkdir -p /run/opendkim /run/postgrey /run/rspamd; chown _rspamd /run/rspamd /var/lib/rspamd; openssl genrsa -out /k 1024; printf 'while :; do sleep 5; done' > /usr/local/bin/check-for-changes.sh; ", supervised(RSYSLOG, POSTFIX, DOVECOT, RSPAMD, "dkim=opendkim -f -p inet:8891@127.0.0.1 -d a.b -s s -k /k", "grey=postgrey --inet=127.0.0.1:10023", "spam=spamd -x", CRON, FAIL2BAN, "watch=bash /usr/local/bin/check-for-changes.sh")), wait=12),
    app("prod-mail-exim", "exim with its cron, by a script", *sh("mkdir -p /var/log/exim4 /var/spool/exim4; useradd -r Debian-exim; mkdir -p /run/exim4; cron; exim4 -bdf -q30m -C /dev/null & " + WAIT)),
    app("prod-mail-sogo", "a mail suite's groupware: supervisord over sogod, syslog-ng and cron", *supervised(SYSLOG_NG, "sogo=chpst -u sogo sogod -WONoDetach YES -WOPort 20000 -WOWorkersCount 2 -WOLogFile - -WOPidFile /tmp/sogo.pid", CRON)),
    one("prod-mail-acme", "a mail suite's certificates: a script that loops", *sh("printf 'while :; do sleep 3600 & wait; done' > /srv/acme.sh; exec bash /srv/acme.sh")),
    one("prod-mail-watchdog", "a mail suite's watchdog: a bash with a loop for each thing that it watches", *sh("printf 'for i in 1 2 3 4 5; do (while :; do sleep 30; done) & done; wait' > /watchdog.sh; exec bash /watchdog.sh")),
    one("prod-mail-clamd", "a mail suite's scanner: tini over a script with clamd and its updater", "tini", "-g", "--", "bash", "-c", "mkdir -p /run/clamav; echo E:0:*:58354f > /var/lib/clamav/a.ndb; printf 'LocalSocket /run/clamav/c\nDatabaseDirectory /var/lib/clamav\nUser root\n' > /etc/clamav/clamd.conf; freshclam -d; (while :; do sleep 60; done) & clamd -F & wait"),
    app("prod-mail-panel", "a mail server with an administration of its own: a script over postfix, dovecot, nginx, php-fpm, mariadb, uwsgi, cron, rsyslog and fail2ban", *sh(JAIL + DBDIR + PHPDIR + WEB + "rsyslogd -iNONE; cron; mariadbd --user=mysql & postfix start; dovecot; php-fpm8.2; nginx; fail2ban-server -b; uwsgi_python3 --http-socket :7777 --chdir /app --wsgi web:app --plugin python3 & " + WAIT), wait=12),
    app("prod-list-server", "a list server: supervisord over postfix, a python program, apache and cron", *after(WEB, supervised(POSTFIX, "own=gunicorn --chdir /app web:app", APACHE, CRON)), wait=8),
)  # fmt: skip
"""Mail servers and their parts."""

_FORGES = (
    app("prod-omnibus", "a forge with its parts below /opt/gitlab: a script over runsvdir-start, runit and svlogd, with the system's sshd on a configuration of its own", *sh(SSH + ADD_GIT + "mkdir -p /opt/gitlab/embedded/bin /assets /var/log/gl; cp /usr/bin/redis-server /usr/sbin/nginx /usr/lib/postgresql/15/bin/postgres /opt/gitlab/embedded/bin; cp /etc/ssh/sshd_config /assets/sshd_config; printf 'AllowUsers git\\nAuthorizedKeysCommand /opt/gitlab/keys\\nAuthorizedKeysCommandUser git\\n' >> /assets/sshd_config; printf '#!/bin/sh\\n' > /opt/gitlab/keys; for p in gitaly gitlab-workhorse prometheus alertmanager node_exporter; do cp /prog /opt/gitlab/embedded/bin/$p; done; " + runit("redis=/opt/gitlab/embedded/bin/redis-server", 'nginx=/opt/gitlab/embedded/bin/nginx -g "daemon off;"', "gitaly=/opt/gitlab/embedded/bin/gitaly 8075", "workhorse=/opt/gitlab/embedded/bin/gitlab-workhorse 8181", "prometheus=/opt/gitlab/embedded/bin/prometheus 9090", "alert=/opt/gitlab/embedded/bin/alertmanager 9093", "node=/opt/gitlab/embedded/bin/node_exporter 9100", "sshd=/usr/sbin/sshd -D -f /assets/sshd_config -e", boot="for s in redis nginx gitaly; do mkdir -p /etc/sv2/$s/log /var/log/gl/$s; printf '#!/bin/sh\\nexec svlogd /var/log/gl/%s\\n' $s > /etc/sv2/$s/log/run; chmod +x /etc/sv2/$s/log/run; done; runsvdir -P /etc/sv2 & wait")[2]), wait=9),
    app("prod-forge-s6", "a forge: s6 over it and an sshd that lets only git in, by keys that a program gives", *after(program("/usr/local/bin/gitea") + ADD_GIT + KEYS_OF_GIT, s6("gitea=chpst -u git /usr/local/bin/gitea web 3000", SSHD))),
    one("prod-forge-rootless", "a forge without an sshd of the system's, under dumb-init", "dumb-init", "--", "sh", "-c", program("/app/gitea/gitea") + "exec su -s /bin/sh nobody -c 'exec /app/gitea/gitea -c /etc/gitea/app.ini web 3000'"),
    app("prod-forge-unknown", "a forge of whom nobody has heard, with an sshd that lets only git in, under supervisord", *after(program("/usr/local/bin/acorn") + ADD_GIT + KEYS_OF_GIT, supervised("acorn=chpst -u git /usr/local/bin/acorn web 3000", SSHD))),
    one("prod-gitolite", "gitolite: an sshd alone, in which all keys are of one user", *sh(SSH + ADD_GIT + "exec /usr/sbin/sshd -D -e")),
    one("prod-gerrit", "a code review in a JVM, by its script", *sh(_JVM + f"exec {_JAVA} -jar /var/gerrit/bin/gerrit.war daemon -d /var/gerrit 29418")),
    app("prod-review", "a code review: a script over sshd on a configuration of its own, nginx, php-fpm, daemons in php, a node program, and cron", *sh(SSH + PHPDIR + "useradd -m -s /bin/bash vcs; printf 'AllowUsers vcs\\nAuthorizedKeysCommand /usr/libexec/keys\\nAuthorizedKeysCommandUser vcs\\n' > /etc/ssh/sshd_config.vcs; printf '#!/bin/sh\\n' > /usr/libexec/keys; chmod 755 /usr/libexec/keys; mkdir -p /srv/phab; echo '<?php while(1) sleep(9);' > /srv/phab/phd.php; echo 'setInterval(Boolean,1e3)' > /srv/phab/aphlict.js; /usr/sbin/sshd -f /etc/ssh/sshd_config.vcs; php-fpm8.2; php /srv/phab/phd.php & node /srv/phab/aphlict.js & cron; exec nginx -g 'daemon off;'"), wait=8),
    system("prod-jenkins-ssh", "a build server in a JVM, and an sshd with a password for its people, under supervisord", *after(_JVM + "useradd -m -s /bin/bash ann; echo ann:secret | chpasswd; ", supervised(f"jenkins={_JAVA} -jar /usr/share/jenkins/jenkins.war 8080", SSHD))),
    app("prod-git-daemon", "repositories: a script over git's daemon, apache for cgit, and an sshd whose users have git's shell", *sh(SSH + "useradd -m -s /usr/bin/git-shell git; printf 'AllowUsers git\\nForceCommand git-shell -c \"$SSH_ORIGINAL_COMMAND\"\\n' >> /etc/ssh/sshd_config; git daemon --base-path=/srv & /usr/sbin/sshd; exec apache2ctl -D FOREGROUND")),
)  # fmt: skip
"""Forges, reviews, and a build server that people log into."""

_WEB = (
    one("prod-cloud-aio", "a cloud's application container: supervisord over php-fpm, a shell's loop for its jobs and a pusher", *after(PHPDIR + program("/usr/local/bin/notify_push") + "printf 'while :; do sleep 300; done' > /cron.sh; ", supervised(PHP, "cron=bash /cron.sh", "push=/usr/local/bin/notify_push 7867"))),
    app("prod-cloud-box", "a cloud in a box: a script over apache with php, mariadb, redis, cron and a postfix on loopback", *sh(DBDIR + PHPDIR + "postconf inet_interfaces=loopback-only; mariadbd --user=mysql & redis-server --daemonize yes; php-fpm8.2; postfix start; echo '*/5 * * * * www-data php -f /var/www/cloud/cron.php' > /etc/cron.d/cloud; cron; exec apache2ctl -D FOREGROUND"), wait=9),
    app("prod-office", "an office server: a script over postgres, rabbitmq, redis, nginx, supervisord with its two servers, and cron", *sh(PG + "redis-server --daemonize yes; (gosu rabbitmq rabbitmq-server &); cron; nginx; d=/var/www/onlyoffice/documentserver/server; mkdir -p $d/DocService $d/FileConverter; cp /prog $d/DocService/docservice; cp /prog $d/FileConverter/converter; " + supervised("doc=/var/www/onlyoffice/documentserver/server/DocService/docservice 8000", "conv=/var/www/onlyoffice/documentserver/server/FileConverter/converter")[2].replace("exec supervisord", "supervisord") + "; " + WAIT), wait=15),
    one("prod-office-kits", "an office server with a process a document", *sh(program("/usr/bin/coolwsd") + "cp /prog /usr/bin/coolforkit; printf 'import subprocess as s\\nfor _ in range(4): s.Popen([\"/usr/bin/coolforkit\"])\\ns.call([\"/usr/bin/coolwsd\",\"9980\"])\\n' > /start.py; exec python3 /start.py")),
    app("prod-blog-cron", "a blog: supervisord over apache with php, and the cron that calls it", *after("echo '*/5 * * * * www-data php /var/www/html/wp-cron.php' > /etc/cron.d/blog; ", supervised(APACHE, CRON))),
    app("prod-blog-certs", "a blog: supervisord over nginx, php-fpm and the cron that renews its certificates", *after(PHPDIR + "echo '0 3 * * * root certbot renew -q && nginx -s reload' > /etc/cron.d/certs; ", supervised(NGINX, PHP, CRON))),
    app("prod-marketing", "a campaign tool: apache with php in the foreground, cron with its table, by a script", *sh("printf '*/5 * * * * www-data php /var/www/bin/console segments\\n*/7 * * * * www-data php /var/www/bin/console campaigns\\n' > /etc/cron.d/mautic; cron; exec apache2ctl -D FOREGROUND")),
    app("prod-dev-web", "a developer's web part of a stack: supervisord over nginx, php-fpm, a mail catcher and cron, by a script", *after(PHPDIR + program("/usr/local/bin/mailpit"), supervised(NGINX, PHP, "mail=/usr/local/bin/mailpit 8025", CRON))),
    app("prod-site-ftp", "a site and the FTP server by which its files are put there: supervisord over apache with php, mariadb, proftpd and cron", *after(DBDIR, supervised(APACHE, DB, "ftp=proftpd -n", CRON)), wait=8),
    app("prod-site-ftp-only", "nginx and an FTP server for what it shows, under supervisord", *supervised(NGINX, "ftp=proftpd -n")),
    app("prod-site-sftp", "a site and an sshd that gives out its files and no shell: supervisord over nginx, php-fpm and it", *after(PHPDIR + GIVES_FILES, supervised(NGINX, PHP, SSHD))),
    app("prod-forum", "a forum: a script over runit with nginx, puma, postgres, redis, cron, anacron's table and rsyslog", *sh(PG + "service postgresql stop; printf 'run ->(e){[200,{},[\"\"]]}' > /c.ru; " + runit(NGINX, "web=puma -b tcp://127.0.0.1:3000 /c.ru", "pg=chpst -u postgres /usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf", REDIS, CRON, RSYSLOG, boot="runsvdir -P /etc/sv2 & wait")[2]), wait=9),
    app("prod-photos", "a photo library: s6 over nginx, a node program, postgres, redis and a cron of busybox", *sh(PG + "service postgresql stop; " + BOXDIR + "mkdir -p /app/server; echo 'require(\"http\").createServer(()=>{}).listen(2283)' > /app/server/main.js; " + s6(NGINX, "own=node /app/server/main.js", "pg=s6-setuidgid postgres /usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf", REDIS, BOXCRON)[2]), wait=8),
    app("prod-search-stack", "a search stack in one image: a script over two JVMs below /opt, a node program, and cron", *sh("for p in elasticsearch logstash; do mkdir -p /opt/$p/jdk/bin; cp /prog /opt/$p/jdk/bin/java; done; cp /usr/bin/node /opt/kibana-node; cron; /opt/elasticsearch/jdk/bin/java -cp /opt/elasticsearch/lib org.elasticsearch.bootstrap.Elasticsearch 9200 & /opt/logstash/jdk/bin/java org.logstash.Logstash 5044 & echo 'setInterval(Boolean,1e3)' > /k.js; exec node /k.js")),
    app("prod-wiki", "a wiki: my_init over nginx, php-fpm, cron and syslog-ng", *after(PHPDIR, my_init(NGINX, PHP, CRON, SYSLOG_NG))),
    app("prod-ticket", "a ticket system: supervisord over apache, a perl daemon, mariadb, postfix and cron", *after(DBDIR + "mkdir -p /opt/otrs/bin; echo 'sleep 9 while 1;' > /opt/otrs/bin/daemon.pl; ", supervised(APACHE, DB, POSTFIX, "own=perl /opt/otrs/bin/daemon.pl", CRON)), wait=8),
    app("prod-erp", "a company's books: a script over a python server, postgres, nginx, redis, its queue and its scheduler, and cron", *sh(PG + WEB + "redis-server --daemonize yes; nginx; cron; for w in schedule worker; do printf 'import time\\nwhile 1: time.sleep(9)\\n' > /app/$w.py; python3 /app/$w.py & done; exec gunicorn --chdir /app web:app"), wait=8),
)  # fmt: skip
"""Web applications, offices and sites."""

_PANELS = (
    system("prod-panel-ssh", "a hosting panel by a script: nginx, apache, mariadb, exim, dovecot, proftpd, bind, cron, fail2ban, sshd", *sh(JAIL + SSH + DBDIR + "mkdir -p /var/log/exim4 /var/spool/exim4; useradd -r Debian-exim; mariadbd --user=mysql & sed -i 's/Listen 80/Listen 8081/' /etc/apache2/ports.conf; apache2ctl start; named -u bind; exim4 -bd -C /dev/null; dovecot; proftpd; cron; fail2ban-server -b; /usr/sbin/sshd; exec nginx -g 'daemon off;'"), wait=30),
    system("prod-panel-systemd", "a hosting panel that boots: systemd over apache, mariadb, postfix, dovecot, proftpd, bind, sshd, cron and rsyslog", *booted("apache2", "mariadb", "postfix", "dovecot", "proftpd", "named", "ssh", "cron", "rsyslog"), options=SYSTEMD, wait=25),
    system("prod-vps-lamp", "somebody's virtual server: systemd over apache, mariadb, postfix, sshd, cron, rsyslog and a getty", *booted("apache2", "mariadb", "postfix", "ssh", "cron", "rsyslog", "getty@tty1"), options=SYSTEMD, wait=20),
    system("prod-vps-lxc", "somebody's virtual server in LXC: systemd with sshd, cron and rsyslog", "/sbin/init", engine="lxc", image="debian:lab", wait=15),
    system("prod-panel-people", "a panel without a service manager: a script over apache, mariadb, proftpd, cron, and the cron tables of two people", *sh(_PEOPLE + DBDIR + "mariadbd --user=mysql & proftpd; cron; postfix start; dovecot; exec apache2ctl -D FOREGROUND"), sure=False, wait=9),
    system("prod-people-cron", "nginx, and a cron with the tables of two people, by a script", *sh(_PEOPLE + "cron; exec nginx -g 'daemon off;'"), sure=False),
    system("prod-games-web", "unrelated things of one person: supervisord over a voice server, a downloader, nginx and cron", *after("chmod -R a+rX /etc/mumble-server.ini; ", supervised("voice=murmurd -fg", "torrent=transmission-daemon -f", NGINX, CRON)), sure=False),
    system("prod-home-server", "a home server: supervisord over samba, transmission, minidlna, nginx, sshd and cron", *supervised("smb=smbd -F --no-process-group", "torrent=transmission-daemon -f", "dlna=minidlnad -S", NGINX, SSHD, CRON), wait=8),
)  # fmt: skip
"""Panels that rent out hosting, and servers of people."""

_APPLIANCES = (
    app("prod-cameras", "a camera watch: my_init over apache with php, mariadb, its daemons in perl, cron and syslog-ng", *after(DBDIR + "mkdir -p /usr/share/zm; for d in zmdc zmfilter zmwatch; do echo 'sleep 9 while 1;' > /usr/share/zm/$d.pl; done; ", my_init(APACHE, DB, "zm=perl /usr/share/zm/zmdc.pl", "zmf=perl /usr/share/zm/zmfilter.pl", "zmw=perl /usr/share/zm/zmwatch.pl", CRON, SYSLOG_NG)), wait=9),
    app("prod-dns-unbound", "a filtering name server with a resolver of its own: s6 over it, unbound, lighttpd and cron", *after(program("/usr/bin/pihole-FTL") + "mkdir -p /run/lighttpd; printf 'server:\\n do-ip6: no\\n port: 5335\\n interface: 127.0.0.1\\n' > /u.conf; ", s6("ftl=/usr/bin/pihole-FTL no-daemon 53", "web=lighttpd -D -f /etc/lighttpd/lighttpd.conf", "dns=unbound -d -c /u.conf", CRON))),
    app("prod-wireless", "a network controller: s6 over a JVM below /usr/lib/unifi that has a database for a child, with cron", *after("mkdir -p /usr/lib/unifi/bin; cp /prog /usr/lib/unifi/bin/mongod; printf 'import subprocess as s\\ns.call([\"/usr/lib/unifi/bin/mongod\",\"27117\"])\\n' > /usr/lib/unifi/ace.py; ", s6("own=python3 /usr/lib/unifi/ace.py", CRON))),
    one("prod-file-server", "a file server that announces itself: runit over smbd, nmbd and avahi", *runit("smb=smbd -F --no-process-group", "nmb=nmbd -F --no-process-group", "mdns=avahi-daemon --no-drop-root --no-rlimits")),
    app("prod-domain-member", "a file server in a domain: supervisord over smbd, nmbd, winbindd, chronyd, rsyslog and cron", *supervised("smb=smbd -F --no-process-group", "nmb=nmbd -F --no-process-group", "win=winbindd -F --no-process-group", "ntp=chronyd -d -x", RSYSLOG, CRON)),
    system("prod-identity", "an identity server: systemd over slapd, a KDC, apache, bind, chrony and dbus", *only("slapd", "krb5-kdc", "apache2", "named", "chrony", "dbus", mask=("getty.target",)), options=SYSTEMD, sure=False, wait=15),
    app("prod-monitor-real", "a monitoring appliance: a script over zabbix' server, apache with php, postgres, its agent, snmpd for traps and cron", *sh(PG + "mkdir -p /run/zabbix /var/log/zabbix; chown zabbix /run/zabbix /var/log/zabbix; cron; zabbix_agentd; snmpd; apache2ctl start; " + program("/usr/sbin/zabbix_server") + "exec /usr/sbin/zabbix_server 10051"), wait=9),
    app("prod-nagios", "a monitor: supervisord over nagios, apache with cgi, a mailer on loopback and cron", *after("mkdir -p /run/nagios4; chown nagios /run/nagios4; postconf inet_interfaces=loopback-only; ", supervised("nagios=nagios4 /etc/nagios4/nagios.cfg", APACHE, POSTFIX, CRON)), wait=8),
    one("prod-sync", "syncthing, by its script", *sh("exec gosu nobody env HOME=/tmp syncthing serve --no-browser --home=/tmp/s --gui-address=0.0.0.0:8384")),
    one("prod-code", "an editor in the browser: dumb-init over node and what it starts", "dumb-init", *sh("mkdir -p /usr/lib/code-server/out; echo 'require(\"child_process\").spawn(process.execPath,[\"/usr/lib/code-server/out/child.js\"]);require(\"http\").createServer(()=>{}).listen(8080)' > /usr/lib/code-server/out/entry.js; echo 'setInterval(Boolean,1e3)' > /usr/lib/code-server/out/child.js; exec node /usr/lib/code-server/out/entry.js")),
    app("prod-notebooks", "notebooks for many: a hub in python, its proxy in node, and the servers of two users below it", *sh("useradd -m ann; useradd -m bob; mkdir -p /srv/hub; echo 'require(\"http\").createServer(()=>{}).listen(8000)' > /srv/hub/proxy.js; printf 'import subprocess as s\\nfor u in (\"ann\",\"bob\"): s.Popen([\"python3\",\"/srv/hub/single.py\"],user=u,start_new_session=True)\\ns.call([\"node\",\"/srv/hub/proxy.js\"])\\n' > /srv/hub/hub.py; printf 'import time\\nwhile 1: time.sleep(9)\\n' > /srv/hub/single.py; exec python3 /srv/hub/hub.py")),
    one("prod-notebook", "a notebook server under tini", "tini", "-g", "--", "jupyter-notebook", "--ip=0.0.0.0", "--allow-root", "--no-browser"),
    system("prod-notebook-ssh", "a researcher's box: supervisord over a notebook server and sshd", *supervised("nb=jupyter-notebook --ip=0.0.0.0 --allow-root --no-browser", SSHD), sure=False, wait=9),
    one("prod-media", "a media server below its prefix: s6 over it and its helpers", *after("mkdir -p /usr/lib/plexmediaserver; cp /prog '/usr/lib/plexmediaserver/plexmediaserver'; cp /prog /usr/lib/plexmediaserver/tuner; ", s6("own=/usr/lib/plexmediaserver/plexmediaserver 32400", "tuner=/usr/lib/plexmediaserver/tuner 32600"))),
    one("prod-cameras-new", "a camera watch: s6 over nginx, a stream server and a python program, with s6-log for each", *sh("mkdir -p /usr/local/go2rtc/bin /opt/frigate /var/log/f; cp /prog /usr/local/go2rtc/bin/go2rtc; printf 'import time\\nwhile 1: time.sleep(9)\\n' > /opt/frigate/main.py; " + s6('nginx=/usr/sbin/nginx -g "daemon off;" 2>\\&1', "rtc=/usr/local/go2rtc/bin/go2rtc 1984", "own=python3 /opt/frigate/main.py")[2].replace("exec s6-svscan", "mkdir -p /etc/sv2/rtc/log; printf '#!/bin/sh\\nexec s6-log /var/log/f\\n' > /etc/sv2/rtc/log/run; chmod +x /etc/sv2/rtc/log/run; exec s6-svscan"))),
    one("prod-gateway", "a gateway to desktops: supervisord over guacd, a JVM and postgres", *sh(PG + "service postgresql stop; " + program("/opt/guacamole/sbin/guacd") + _JVM + supervised("pg=chpst -u postgres /usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf", "d=/opt/guacamole/sbin/guacd 4822", f"web={_JAVA} -classpath /usr/share/tomcat9 org.apache.catalina.startup.Bootstrap 8080")[2]), wait=8),
    one("prod-indexer", "an indexer all below /opt/splunk, and a script that waits", *sh("mkdir -p /opt/splunk/bin; cp /prog /opt/splunk/bin/splunkd; cp /prog /opt/splunk/bin/mongod; /opt/splunk/bin/splunkd 8089 & /opt/splunk/bin/mongod 8191 & " + WAIT)),
    system("prod-cluster-node", "a node for big data: a script over sshd, by which its parts are started, and three JVMs below /usr/local/hadoop", *sh(SSH + "mkdir -p /usr/local/hadoop/jdk/bin; cp /prog /usr/local/hadoop/jdk/bin/java; /usr/sbin/sshd; for c in NameNode:9870 DataNode:9864 ResourceManager:8088; do /usr/local/hadoop/jdk/bin/java -Dproc_x org.apache.hadoop.${c%:*} ${c#*:} & done; " + WAIT), sure=False),
    system("prod-database-ssh", "a database image whose supervisord also runs rsyslog and an sshd", *after(program("/usr/bin/scylla"), supervised("db=/usr/bin/scylla 9042", RSYSLOG, SSHD)), sure=False),
    app("prod-backup-ssh", "a place for backups: sshd, and the cron that prunes, by a script", *sh(SSH + "useradd -m -s /bin/bash borg; cron; exec /usr/sbin/sshd -D -e")),
    one("prod-sftp", "an SFTP server alone, that gives no shell", *sh(SSH + GIVES_FILES + "exec /usr/sbin/sshd -D -e")),
    app("prod-sftp-log", "an SFTP server that gives no shell, with the syslog of its transfers and fail2ban", *sh(SSH + JAIL + GIVES_FILES + "rsyslogd -iNONE; fail2ban-server -b; exec /usr/sbin/sshd -D -e")),
    app("prod-forge-gunicorn", "a git forge under s6: a python program, and an sshd for git alone", *after(WEB + ADD_GIT + KEYS_OF_GIT, s6("web=gunicorn --chdir /app web:app", SSHD))),
    app("prod-radius", "a RADIUS server with its database, pages, cron and rsyslog, by a script", *sh(DBDIR + "mariadbd --user=mysql & rsyslogd -iNONE; cron; apache2ctl start; exec freeradius -f"), wait=8),
    app("prod-chat", "a chat server: supervisord over prosody, coturn and cron", *supervised("xmpp=prosody -F", "turn=turnserver -n --no-cli -m 2", CRON)),
    one("prod-shop", "a worker's image: supervisord over celery and its beat", *after(WEB, supervised("w=celery -b memory:// worker -c 2", "b=celery -b memory:// beat -s /tmp/b"))),
)  # fmt: skip
"""Appliances, notebooks, file and other servers."""


_INETUTILS = "mkdir -p /etc; echo '*.* /var/log/all' > /etc/syslog.conf; "

_KEEPERS = (
    app("keep-cron-debian", "nginx and Debian's cron, by a script", *sh("cron; exec nginx -g 'daemon off;'")),
    app("keep-cron-busybox", "nginx and busybox' crond, under s6", *after(BOXDIR, s6(NGINX, BOXCRON))),
    app("keep-cron-cronie", "nginx and cronie, by a script", *sh("/usr/sbin/crond || /usr/sbin/cron; exec nginx -g 'daemon off;'"), image="cronie:lab"),
    app("keep-cron-bcron", "nginx and bcron, under runit", *after("mkdir -p /var/spool/cron/crontabs /var/spool/cron/tmp; export BCRON_USER=root; ", runit(NGINX, "cron=bcron-start"))),
    app("keep-cron-anacron", "nginx and an anacron that is at its first job, by a script", *sh("printf '1 0 job.x sleep 600\\n' > /etc/anacrontab; anacron -d & exec nginx -g 'daemon off;'")),
    app("keep-cron-dcron", "nginx and a stand-in for dcron, under runit", *after(program("/usr/sbin/dcron"), runit(NGINX, "cron=/usr/sbin/dcron -f"))),
    app("keep-cron-fcron", "nginx and a stand-in for fcron, by a script", *sh(program("/usr/sbin/fcron") + "/usr/sbin/fcron -f & exec nginx -g 'daemon off;'")),
    app("keep-cron-supercronic", "nginx, php-fpm and a stand-in for supercronic with its table, under supervisord", *after(PHPDIR + program("/usr/local/bin/supercronic") + "echo '*/5 * * * * php /var/www/artisan schedule:run' > /etc/jobs; ", supervised(NGINX, PHP, "cron=/usr/local/bin/supercronic -passthrough-logs /etc/jobs"))),
    app("keep-log-rsyslog", "haproxy and rsyslog, by a script", *sh("rsyslogd -iNONE; printf 'frontend f\\n bind :80\\n mode tcp\\n' > /h.cfg; exec haproxy -W -f /h.cfg")),
    app("keep-log-syslog-ng", "haproxy and syslog-ng, under runit", *after("printf 'frontend f\\n bind :80\\n mode tcp\\n' > /h.cfg; ", runit("lb=haproxy -W -f /h.cfg", SYSLOG_NG))),
    app("keep-log-socklog", "haproxy and socklog, under runit", *after("printf 'frontend f\\n bind :80\\n mode tcp\\n' > /h.cfg; ", runit("lb=haproxy -W -f /h.cfg", "log=socklog unix /dev/log"))),
    app("keep-log-inetutils", "haproxy and inetutils' syslogd, by a script", *sh(_INETUTILS + "printf 'frontend f\\n bind :80\\n mode tcp\\n' > /h.cfg; /usr/sbin/syslogd --no-detach & exec haproxy -W -f /h.cfg")),
    app("keep-log-busybox", "haproxy and busybox' syslogd and klogd, under s6", *after("printf 'frontend f\\n bind :80\\n mode tcp\\n' > /h.cfg; ", s6("lb=haproxy -W -f /h.cfg", "log=busybox syslogd -n -O /var/log/m", "klog=busybox klogd -n"))),
    app("keep-log-metalog", "haproxy and a stand-in for metalog, under supervisord", *after(program("/usr/sbin/metalog") + "printf 'frontend f\\n bind :80\\n mode tcp\\n' > /h.cfg; ", supervised("lb=haproxy -W -f /h.cfg", "log=/usr/sbin/metalog"))),
    one("keep-log-vector", "nginx and a stand-in for vector, under supervisord", *after(program("/usr/bin/vector"), supervised(NGINX, "log=/usr/bin/vector --config /etc/vector/vector.yaml"))),
    one("keep-log-s6-log", "nginx under s6, with s6-log for its log", *sh("mkdir -p /var/log/n; " + s6(NGINX)[2].replace("exec s6-svscan", "mkdir -p /etc/sv2/nginx/log; printf '#!/bin/sh\\nexec s6-log /var/log/n\\n' > /etc/sv2/nginx/log/run; chmod +x /etc/sv2/nginx/log/run; exec s6-svscan"))),
    one("keep-log-svlogd", "redis under runit, with svlogd for its log", *runit(REDIS, boot="mkdir -p /etc/sv2/redis/log /var/log/r; printf '#!/bin/sh\\nexec svlogd /var/log/r\\n' > /etc/sv2/redis/log/run; chmod +x /etc/sv2/redis/log/run; exec runsvdir /etc/sv2")),
    one("keep-log-multilog", "redis, whose output a pipe takes to multilog", *sh("mkdir -p /var/log/r; redis-server --port 6400 2>&1 | multilog t /var/log/r")),
    app("keep-both-tini", "redis with rsyslog and cron, by a script under tini", "tini", "--", "sh", "-c", "rsyslogd -iNONE; cron; exec redis-server --port 6400"),
    app("keep-logrotate", "nginx and a cron that only rotates its log, by a script", *sh("printf '0 * * * * root logrotate /etc/logrotate.d/nginx\\n' > /etc/cron.d/rotate; cron; exec nginx -g 'daemon off;'")),
)  # fmt: skip
"""One application, and each of those who keep time or take messages."""

SCENARIOS = (*_MAIL, *_FORGES, *_WEB, *_PANELS, *_APPLIANCES, *_KEEPERS)
