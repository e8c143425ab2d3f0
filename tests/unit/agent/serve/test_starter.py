from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent import wire
from agent.config import ConfigError, Web, load
from agent.scout.progress import Progress
from agent.serve.starter import LocalScout, LocalStarter
from tests.support.scouts import ECHO


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a scout that ends by itself take its time, however busy the machine is."""
    monkeypatch.setattr("agent.serve.starter.END_SECONDS", 60.0)


@pytest.fixture
def starter(tmp_path: Path) -> LocalStarter:
    file = tmp_path / "tallyman.toml"
    file.write_text('[log]\nlevel = "error"\n')
    return LocalStarter(load(str(file), {"web.max_requests": 3}), (sys.executable, "-c", ECHO))


def orders_of(scout: LocalScout) -> wire.Orders:
    """Return the orders that a scout was given, and end it."""
    assert scout.stdout is not None
    assert scout.stdin is not None
    orders = wire.Orders.from_line(scout.stdout.readline())
    scout.stdin.close()
    assert scout.end(kill=False) == 0
    scout.stdout.close()
    return orders


def start(starter: LocalStarter, *quarantine: str) -> LocalScout:
    progress = Progress.create()
    try:
        return starter.start(progress.fd, quarantine, once=True)
    finally:
        progress.close()


def test_a_scout_gets_what_was_found_right_and_not_what_stands_there_now(
    starter: LocalStarter,
) -> None:
    Path(starter.config.file).write_text("this is not TOML")
    orders = orders_of(start(starter, "container x"))
    assert load(orders.file, orders.flags, orders.text).log.level == "error"
    assert (orders.quarantine, orders.once) == (frozenset({"container x"}), True)


def test_what_is_wrong_leaves_the_old_configuration(starter: LocalStarter) -> None:
    Path(starter.config.file).write_text("[log]\nlevel = 'loud'\n[foo]\n")
    with pytest.raises(ConfigError) as caught:
        starter.reload()
    assert len(caught.value.problems) == 2
    assert starter.config.log.level == "error"


def test_what_only_a_start_can_change_stays_and_is_said(
    starter: LocalStarter, caplog: pytest.LogCaptureFixture
) -> None:
    Path(starter.config.file).write_text(
        '[web]\nlisten_address = ":1"\n[path]\nprocfs = "/x"\n[containers]\nmax = 7\n'
    )
    new = starter.reload()
    assert (new.containers.max, new.web.max_requests) == (7, 3)
    assert new.web.listen_address == "127.0.0.1:10060"
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "web.listen_address",
        "path.procfs",
    ]
    orders = orders_of(start(starter))
    assert load(orders.file, orders.flags, orders.text).path.procfs == "/proc"


def test_one_that_does_not_read_its_orders_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "long.toml"
    file.write_text("# long\n" * 100_000)
    starter = LocalStarter(load(str(file)), (sys.executable, "-c", "pass"))
    with pytest.raises(BrokenPipeError):
        start(starter)


def test_who_else_may_change_or_read_the_files_is_logged_at_each_reading(
    starter: LocalStarter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o770)
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert: c, key: k}\n")
    starter.reload()
    starter.config = replace(starter.config, web=Web(config_file=str(web)))
    starter.web_files()
    messages = [record.getMessage() for record in caplog.records]
    assert f"{starter.config.file}: its group may replace it" in messages[0]
    assert f"{web}: its group may replace it" in messages[1]
    assert f"{web}: every user may read the key in it" in messages[2]


def test_a_file_that_others_may_write_meanwhile_changes_nothing(starter: LocalStarter) -> None:
    old = starter.config
    Path(old.file).write_text('[log]\nlevel = "debug"\n')
    Path(old.file).chmod(0o666)
    with pytest.raises(ConfigError, match="every user may write it"):
        starter.reload()
    assert starter.config is old
