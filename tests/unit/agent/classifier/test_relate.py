"""Which programs are parts of one application."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.classifier import read_scene
from collectors.facts import Listener, NetworkFacts
from tests.support.subjects import NGINX, POSTGRES, REDIS, Node, run, subject


def groups(*programs: Node) -> list[set[str]]:
    scene = read_scene(subject(run("sh", *programs)))
    return [{program.identity.name for program in group} for group in scene.applications]


CODE = run("/app/server")
MAIL = run("/usr/sbin/dovecot")
DNS = run("/usr/sbin/named")
EXPORTER = run("/usr/bin/node_exporter")
MYSQL = run("mysqld")


def test_code_takes_the_web_servers_and_two_stores() -> None:
    assert groups(CODE, NGINX, REDIS, MYSQL) == [{"server", "nginx", "redis-server", "mysqld"}]
    assert len(groups(CODE, REDIS, MYSQL, POSTGRES)) == 2


def test_without_code_a_web_server_and_a_store_are_unrelated() -> None:
    assert groups(NGINX, REDIS) == [{"nginx"}, {"redis-server"}]


def test_a_mail_server_keeps_its_data_in_a_store_and_a_name_server_does_not() -> None:
    assert groups(MAIL, REDIS) == [{"dovecot", "redis-server"}]
    assert groups(DNS, REDIS) == [{"named"}, {"redis-server"}]


def test_exporters_belong_to_what_they_serve() -> None:
    assert groups(NGINX, EXPORTER) == [{"nginx", "node_exporter"}]
    assert groups(EXPORTER) == [{"node_exporter"}]


def test_what_was_installed_as_one_product_is_one_application() -> None:
    nginx, postgres = run("/opt/forge/bin/nginx"), run("/opt/forge/bin/postgres")
    assert groups(nginx, postgres) == [{"nginx", "postgres"}]
    assert len(groups(run("/usr/local/bin/nginx"), run("/usr/local/bin/postgres"))) == 2


APACHE = run("/usr/sbin/apache2")
RESOLVER = run("/usr/sbin/dnsmasq")
MARIADB = run("/usr/sbin/mariadbd", uid=102)


def test_an_application_with_pages_is_one_with_the_web_application_beside_it() -> None:
    telephony = run("/usr/sbin/asterisk")
    assert len(groups(APACHE, telephony, MYSQL)) == 1
    assert len(groups(CODE, NGINX, MAIL, REDIS)) == 1
    assert len(groups(CODE, NGINX, MAIL, DNS)) == 2
    assert len(groups(NGINX, MAIL)) == 2  # nothing runs code
    assert len(groups(CODE, NGINX, run("/usr/sbin/proftpd"))) == 2


def test_a_resolver_serves_what_runs_beside_it() -> None:
    assert groups(RESOLVER) == [{"dnsmasq"}]
    assert len(groups(RESOLVER, run("/usr/sbin/nagios4"))) == 1


def listening(*ports: tuple[int, str, int]) -> NetworkFacts:
    return NetworkFacts(
        listeners=tuple(
            Listener(protocol="tcp", address=address, port=port, uid=uid)
            for port, address, uid in ports
        )
    )


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (listening((80, "0.0.0.0", 0)), 1),
        (listening((80, "0.0.0.0", 0), (3306, "127.0.0.1", 102)), 1),
        (listening((80, "::", 0), (3306, "::ffff:127.0.0.1", 102)), 1),
        (listening((80, "0.0.0.0", 0), (3306, "0.0.0.0", 102)), 2),
        (listening((80, "0.0.0.0", 0), (3999, "::", 102)), 2),
        (None, 2),
    ],
)
def test_a_database_that_nobody_outside_can_reach_belongs_to_what_runs_beside_it(
    network: NetworkFacts | None, count: int
) -> None:
    ftp = run("/usr/sbin/proftpd")
    container = replace(subject(run("supervisord", ftp, MARIADB)), network=network)
    assert len(read_scene(container).applications) == count


def test_a_database_is_the_web_applications_that_runs_code_whoever_can_reach_it() -> None:
    assert len(groups(APACHE, MARIADB)) == 1
    assert len(groups(APACHE, REDIS)) == 2
    assert len(groups(NGINX, MARIADB)) == 2


def test_what_only_sends_mail_serves_the_others() -> None:
    """Only a mail server that people read their mail on is one beside a program."""
    sender, dovecot = run("/usr/lib/postfix/sbin/master"), run("/usr/sbin/dovecot")
    nagios = run("/usr/sbin/nagios4")
    assert len(groups(APACHE, nagios, sender)) == 1
    assert len(groups(APACHE, nagios, sender, dovecot)) == 2
    assert len(groups(NGINX, sender)) == 2  # a web server and a mail server
    assert groups(sender) == [{"master"}]


def test_a_container_engine_serves_the_others() -> None:
    assert len(groups(NGINX, CODE, run("/usr/bin/dockerd"))) == 1
    assert groups(run("/usr/bin/dockerd")) == [{"dockerd"}]


def test_the_helpers_of_samba_are_samba() -> None:
    helpers = [run(f"/usr/libexec/samba/{name}") for name in ("samba-dcerpcd", "rpcd_lsad")]
    assert len(groups(run("/usr/sbin/smbd"), *helpers)) == 1


def test_a_domain_controller_has_the_name_server_of_its_domain() -> None:
    assert len(groups(run("/usr/sbin/samba"), DNS)) == 1
    assert len(groups(run("/usr/sbin/smbd"), DNS)) == 2


def test_a_mail_server_that_nobody_outside_can_reach_serves_the_others() -> None:
    tree = subject(run("supervisord", MAIL, run("/usr/sbin/proftpd")))
    local = replace(tree, network=listening((25, "127.0.0.1", 0), (21, "0.0.0.0", 0)))
    public = replace(tree, network=listening((25, "0.0.0.0", 0), (21, "0.0.0.0", 0)))
    assert [len(read_scene(one).applications) for one in (local, public)] == [1, 2]


def test_a_queue_comes_on_top_of_a_database_and_a_cache() -> None:
    queue = run("/usr/bin/rabbitmq-server")
    assert len(groups(CODE, NGINX, POSTGRES, REDIS, queue)) == 1
    assert len(groups(CODE, POSTGRES, REDIS, queue, MYSQL)) == 2


def test_a_tunnel_serves_what_goes_through_it() -> None:
    tunnel = run("/usr/sbin/openvpn")
    assert len(groups(tunnel, run("/usr/bin/transmission-daemon"))) == 1
    assert groups(tunnel) == [{"openvpn"}]
