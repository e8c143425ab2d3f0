from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.config import Config, ConfigError, load
from agent.serve.notify import Notifier
from agent.serve.reload import Reloader
from agent.serve.starter import LauncherGone, LocalStarter


@dataclass
class Web:
    """The web configuration, which may be wrong."""

    problems: tuple[str, ...] = ()
    installed: int = 0

    def prepare(self) -> Callable[[], None]:
        if self.problems:
            raise ConfigError(self.problems)
        return self.install

    def install(self) -> None:
        self.installed += 1


@dataclass
class Parts:
    """A reloader with all that it needs."""

    file: Path
    web: Web = field(default_factory=Web)
    taken: list[Config] = field(default_factory=list)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.file.write_text("")
        self.starter = LocalStarter(load(str(self.file)))
        self.reloader = Reloader(
            self.starter, self.web.prepare, self.taken.append, Notifier({}), lambda: self.now
        )

    @property
    def shown(self) -> list[float]:
        return [sample.value for sample in self.reloader.samples()]


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path / "tallyman.toml")


def test_the_start_counts_as_a_success(parts: Parts) -> None:
    assert parts.shown == [1, 1000]


def test_what_is_right_is_taken(parts: Parts) -> None:
    parts.file.write_text("[containers]\nmax = 7\n")
    parts.now = 2000.0
    assert parts.reloader.reload() == ()
    assert [config.containers.max for config in parts.taken] == [7]
    assert (parts.shown, parts.web.installed) == ([1, 2000], 1)


def test_what_is_wrong_changes_nothing(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    parts.file.write_text("[containers]\nmx = 7\n[foo]\n")
    parts.now = 2000.0
    assert len(parts.reloader.reload()) == 2
    assert (parts.taken, parts.web.installed, parts.shown) == ([], 0, [0, 1000])
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 2
    parts.file.write_text("")
    assert parts.reloader.reload() == ()
    assert parts.shown == [1, 2000]


def test_a_wrong_web_configuration_stops_all_of_it(parts: Parts) -> None:
    parts.file.write_text("[containers]\nmax = 7\n")
    parts.web.problems = ("web.yml: wrong",)
    assert parts.reloader.reload() == ("web.yml: wrong",)
    assert (parts.taken, parts.starter.config.containers.max) == ([], 5000)


def test_a_launcher_that_is_gone_is_a_failure(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> None:
        raise LauncherGone("the launcher has ended")

    monkeypatch.setattr(parts.starter, "reload", gone)
    assert parts.reloader.reload() == ("the launcher has ended",)
    assert parts.shown == [0, 1000]
