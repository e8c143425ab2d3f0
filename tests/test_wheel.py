"""What users install: the built wheel, alone in an empty environment."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

from agent import __version__
from tests.engines.harness.agent import running_agent
from tests.engines.harness.need import need
from tests.engines.harness.programs import run

CLONE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
    run(*pip, "--wheel-dir", place, CLONE, timeout=300)
    return next(place.glob("tallyman_agent-*.whl"))


@pytest.fixture(scope="module")
def tallyman(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the command in an environment that holds the wheel and what it asks for."""
    place = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", place)
    run(place / "bin/python", "-m", "pip", "install", "--quiet", wheel, timeout=600)
    return place / "bin/tallyman"


def test_holds_the_application_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}

    assert tops == {"agent", "collectors", f"tallyman_agent-{__version__}.dist-info"}


def test_says_its_version(tallyman: Path) -> None:
    assert __version__ in run(tallyman, "--version")


def test_starts_and_is_scraped(tallyman: Path, tmp_path: Path) -> None:
    with running_agent(command=(tallyman,), env={"HOME": str(tmp_path)}) as agent:
        agent.wait_ready()
        page = agent.scrape()

    assert page.value("tallyman_build_info", version=__version__) == 1
    assert page.value("tallyman_inventory_complete") == 1


def test_looks_at_the_host_without_a_running_agent(tallyman: Path) -> None:
    assert isinstance(json.loads(run(tallyman, "ls", "--json")), list)


def test_pipx_installs_it(wheel: Path, tmp_path: Path) -> None:
    """As docs/operating.md says, with TLS and passwords."""
    need("pipx")
    env = {
        "PIPX_HOME": str(tmp_path / "home"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "HOME": str(tmp_path),
    }
    run("pipx", "install", f"{wheel}[web]", env=env, timeout=600)
    command = tmp_path / "bin/tallyman"

    assert __version__ in run(command, "--version")
    with running_agent(command=(command,), env={"HOME": str(tmp_path)}, start_seconds=30) as agent:
        assert agent.scrape().value("tallyman_build_info", version=__version__) == 1
    run("pipx", "uninstall", "tallyman-agent", env=env)
    assert not command.exists()
