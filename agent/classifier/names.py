"""Names of programs by what they are for; each line is a family and the binaries in it.

``programs`` gives them their meaning. A family is one service, however many of its programs run.
"""

from __future__ import annotations

MANAGERS = """
    systemd: systemd
    sysvinit: init
    upstart: upstart
    openrc: openrc-init
    runit: runit runit-init
    dinit: dinit
    finit: finit
    procd: procd
    shepherd: shepherd
    s6-linux-init: s6-linux-init
    nosh: system-manager
    launchd: launchd
    linuxrc: linuxrc
"""

SUPERVISORS = """
    supervisord: supervisord
    runit: runsvdir runsv runsvdir-start
    s6: s6-svscan s6-supervise s6-overlay-suexec s6-ipcserverd s6-linux-init-shutdownd
    daemontools: svscan supervise svscanboot readproctitle
    monit: monit
    openrc: supervise-daemon start-stop-daemon
    god: god bluepill eye
    pm2: pm2 pm2-runtime
    circus: circusd
    foreman: foreman honcho goreman overmind hivemind forego procodile
    perp: perpd perpboot
    immortal: immortal immortaldir
    pebble: pebble
    horust: horust
    multirun: multirun
    process-compose: process-compose
    chaperone: chaperone
    my_init: my_init
    nosh: service-manager
"""

REAPERS = """
    tini: tini tini-static docker-init
    dumb-init: dumb-init
    catatonit: catatonit
    podman-init: podman-init
    lxc-init: lxc-init init.lxc init.lxc.static lxd-init
    pid1: pid1 pidone krallin-tini
    bwrap: bwrap
    apptainer: appinit sinit
    nspawn: systemd-nspawn
    yelp: yelp-init
    unshare: unshare nsenter
"""

SHELLS = """
    shell: sh bash dash ash ksh ksh93 mksh zsh fish csh tcsh yash hush rbash posh oksh busybox
    shell: toybox
"""

WRAPPERS = """
    wrapper: su sudo gosu su-exec runuser setpriv setsid chpst s6-setuidgid s6-softlimit
    wrapper: s6-fdholderd env nice ionice nohup
    wrapper: timeout stdbuf script chroot capsh unbuffer softlimit setuidgid envdir taskset
    wrapper: numactl strace ltrace
    wrapper: doas authbind xvfb-run faketime catchsegv envconsul aws-vault chamber execlineb
    wrapper: foreground background if
    wrapper: trap redirfd with-contenv envuidgid logger linux32 linux64 setarch time prlimit flock
    wrapper: pidproxy cgexec setlock pgrphack fghack argv0 eatmydata systemd-cat dockerize
"""

UTILITIES = """
    utility: sleep tail cat tee true yes pause wait inotifywait grep egrep sed awk gawk mawk cut
    utility: tr sort head less more
    utility: xargs find ls cp mv rm date ps top htop watch mkfifo dd read touch test expr seq wc
    utility: stat du df id kill
    utility: vi vim nano emacs man free uptime w who last ping traceroute dig nslookup tcpdump
    utility: curl wget nc ncat telnet
    utility: dbus-launch dbus-run-session ssh-agent gpg-agent dirmngr scdaemon keyboxd coreutils
    utility: svlogd multilog cronolog rotatelogs
"""

OPERATING_SYSTEM = """
    sshd: sshd sshd-session sshd-auth sshd.pam sshd.krb5 dropbear dropbearmulti lshd lsh-server
    sshd: tinysshd tinysshd-makekey
    telnetd: telnetd in.telnetd utelnetd
    rlogin: in.rlogind in.rshd rlogind rshd
    cron: cron crond anacron atd fcron dcron cronie bcron-sched bcron-start supercronic
    cron: go-cron go-crond yacron
    syslog: rsyslogd syslogd syslog-ng klogd sysklogd socklog socklog-unix metalog
    syslog: inetutils-syslogd
    syslog: busybox-klogd busybox-syslogd
    getty: agetty getty mingetty fgetty ngetty mgetty ttymon login
    inetd: inetd xinetd inetutils-inetd rlinetd openbsd-inetd
"""

ADMINISTRATION = """
    time: ntpd chronyd openntpd ptp4l phc2sys timemaster
    entropy: haveged rngd jitterentropy-rngd
    disks: smartd multipathd iscsid dmeventd lvmpolld
    automount: automount
    neighbours: lldpd lldpad
    acpid: acpid
    power: upowerd apmd thermald tuned
    hardware: mcelog rasdaemon gpm pcscd watchdog
    incron: incrond
    updates: unattended-upgrade unattended-upgr packagekitd yum-cron dnf-automatic snapd
    audit: auditd audispd
    nscd: nscd sssd nslcd unscd
    rpcbind: rpcbind portmap rpc.statd rpc.idmapd
    fail2ban: fail2ban-server sshguard denyhosts
    irqbalance: irqbalance
    guest agent: qemu-ga vmtoolsd waagent google_guest_agent amazon-ssm-agent VBoxService
    guest agent: spice-vdagentd hv_kvp_daemon
    management: munin-node nrpe
    management: puppet salt-minion chef-client cfagent cf-execd zabbix_agentd zabbix_agent2 snmpd
    management: osqueryd
    web console: cockpit-ws cockpit-tls miniserv miniserv.pl webmin
"""

ESSENTIAL_DAEMONS = """
    udev: udevd systemd-udevd eudev mdev mdevd
    logind: systemd-logind elogind elogind-daemon consolekit console-kit-daemon
"""

PLUMBING = """
    dbus: dbus-daemon dbus-broker dbus-broker-launch
    systemd: systemd-journald systemd-networkd systemd-resolved systemd-oomd systemd-userdbd
    systemd: systemd-userwork systemd-timesyncd systemd-machined systemd-hostnamed
    systemd: systemd-localed systemd-timedated systemd-executor systemd-portabled
    systemd: systemd-importd systemd-homed systemd-tty-ask-password-agent systemd-cgroups-agent
    systemd: systemd-shutdown
    polkit: polkitd
    network: NetworkManager dhclient dhcpcd udhcpc connmand wpa_supplicant networkd-dispatcher
    network: wicked wickedd iwd ifplugd
    accounts: accounts-daemon
    modem: ModemManager
    bluetooth: bluetoothd
    storage: udisksd
    firmware: fwupd boltd
    desktop: colord rtkit-daemon switcheroo-control power-profiles-daemon
    openrc: openrc-run openrc rc
"""

SESSIONS = """
    session: sftp-server internal-sftp tmux screen abduco dtach byobu mosh-server scp rsync-ssh
    session: zellij
"""

WEB_SERVERS = """
    nginx: nginx openresty angie tengine freenginx
    apache: apache2 httpd httpd.worker httpd-prefork
    lighttpd: lighttpd
    caddy: caddy
    haproxy: haproxy
    traefik: traefik
    envoy: envoy
    varnish: varnishd
    squid: squid
    h2o: h2o
    litespeed: litespeed lshttpd openlitespeed
    small web server: thttpd mini_httpd darkhttpd webfs webfsd uhttpd hiawatha mathopd boa
    pound: pound
    trafficserver: traffic_server traffic_manager
"""

RUNTIMES = """
    php: php-fpm php php-cgi
    python: gunicorn uwsgi uvicorn hypercorn daphne celery waitress-serve flower rq mod_wsgi
    ruby: puma unicorn sidekiq passenger thin rainbows resque rails
    node: node nodejs bun deno npm yarn
    java: java tomcat jsvc
    perl: starman plackup
    dotnet: dotnet mono
    erlang: beam.smp beam epmd erl_child_setup inet_gethost
    fastcgi: fcgiwrap spawn-fcgi
    go: air
"""

STORES = """
    postgres: postgres postmaster pg_ctl pgbouncer pgpool repmgrd
    mysql: mysqld mariadbd mysqld_safe mariadbd-safe mysqlrouter
    redis: redis-server redis-sentinel redis-check-rdb redis-check-aof valkey-server
    redis: valkey-sentinel keydb-server
    memcached: memcached
    mongodb: mongod mongos
    influxdb: influxd
    clickhouse: clickhouse clickhouse-server clickhouse-keeper clickhouse-watch
    cockroach: cockroach
    couchdb: couchdb
    etcd: etcd
    rabbitmq: rabbitmq-server
    nats: nats-server
    minio: minio
    consul: consul
    vault: vault
    meilisearch: meilisearch typesense-server
    sphinx: searchd manticore
    beanstalkd: beanstalkd
    firebird: fbserver firebird
    oracle: oracle tnslsnr
    mssql: sqlservr
    openldap: slapd
    scylla: scylla
    mosquitto: mosquitto
"""

AUXILIARIES = """
    exporter: node_exporter redis_exporter postgres_exporter mysqld_exporter
    exporter: nginx-prometheus-exporter blackbox_exporter
    exporter: prometheus-node-exporter prometheus-nginx-exporter cadvisor telegraf collectd statsd
    exporter: gitlab-exporter
    log shipper: fluent-bit fluentd filebeat promtail vector logrotate metricbeat
    config reloader: confd consul-template certbot acme.sh docker-gen config-reloader lego
    display: Xvfb Xorg x11vnc Xtigervnc Xvnc vncserver fluxbox openbox websockify novnc pulseaudio
    display: xrdp xrdp-sesman matchbox xterm uxterm urxvt lxterminal xfce4-terminal konsole
    discovery: avahi-daemon avahi-autoipd
    resolver: dnsmasq unbound
    tunnel: cloudflared autossh ssh stunnel stunnel4 socat
    git: git git-daemon
    vpn: openvpn charon starter pluto wg-quick strongswan xl2tpd pptpd tailscaled zerotier-one
    vpn: ocserv
"""

STANDALONE = """
    mail: master qmgr pickup smtpd tlsmgr cleanup trivial-rewrite bounce anvil dovecot
    mail: dovecot-anvil dovecot/log imap
    mail: pop3 imap-login pop3-login exim exim4 sendmail sendmail-mta opendkim opendmarc rspamd
    mail: spamd amavisd amavisd-new
    mail: clamd freshclam postgrey postsrsd policyd-spf opensmtpd smtpctl cyrmaster imapd courier
    mail: fetchmail postfix saslauthd
    mail: courierlogger couriertcpd authdaemond courierd
    name server: named pdns_server pdns_recursor knotd nsd coredns pihole-FTL
    name server: AdGuardHome bind9 dnsdist
    dhcp: dhcpd kea-dhcp4 kea-dhcp6 radvd
    ftp: vsftpd proftpd pure-ftpd bftpd in.ftpd ftpd sftpgo tcpsvd udpsvd
    tftp: in.tftpd tftpd atftpd
    samba: smbd nmbd winbindd samba samba-dcerpcd samba-bgqd rpcd_classic rpcd_epmapper
    samba: rpcd_fsrvp rpcd_lsad rpcd_mdssvc rpcd_spoolss rpcd_winreg wsdd wsdd2
    nfs: rpc.nfsd rpc.mountd ganesha.nfsd nfsd
    rsync: rsync
    print: cupsd cups-browsed
    radius: radiusd freeradius
    telephony: asterisk freeswitch kamailio opensips
    container engine: dockerd containerd containerd-shim containerd-shim-runc-v2 docker-proxy
    container engine: podman conmon crio kubelet
    container engine: fuse-overlayfs slirp4netns pasta aardvark-dns netavark
    container engine: k3s k3s-server k3s-agent rootlesskit buildkitd runc crun kube-apiserver
    container engine: kube-proxy kube-scheduler
    container engine: kube-controller-manager
    monitoring: prometheus alertmanager grafana grafana-server loki thanos victoria-metrics
    monitoring: vmagent pushgateway mimir tempo
    monitoring: zabbix_server nagios nagios4 icinga2 ntopng
    routing: zebra bgpd ospfd bird bird6 frr watchfrr staticd keepalived exabgp
    chat: ircd inspircd ngircd unrealircd prosody ejabberd murmurd mumble-server teamspeak
    chat: ts3server synapse
    torrent: transmission-daemon qbittorrent-nox deluged rtorrent aria2c
    git server: gitea forgejo gogs gitlab-shell gitlab-workhorse gitlab-workhors gitaly
    video: ffmpeg mediamtx
    tor: tor privoxy i2pd
    batch: make cc1 cc1plus gcc g++ cargo rustc go mvn gradle cmake ninja
"""
