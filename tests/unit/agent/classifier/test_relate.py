"""Which programs are parts of one application."""

from __future__ import annotations

from agent.classifier import read_scene
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
