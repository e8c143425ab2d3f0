from __future__ import annotations

from pathlib import Path

import pytest

import collectors.engines
from collectors.catalogue import BY_NAME, COLLECTORS, ENGINES, WRAPPERS, EngineInfo
from collectors.registry import COLLECTORS as REGISTRY

TOP = Path(__file__).parents[3]
FOLDERS = Path(collectors.engines.__file__).parent

NO_COLLECTOR = {"shared"}
"""Folders of collectors/engines that hold no engine."""


def folder_of(collector: str) -> Path:
    """Return the folder of a collector, by the module of what the registry makes it with."""
    package, folder, module = REGISTRY[collector].__module__.rsplit(".", 2)
    assert (package, module) == ("collectors.engines", "collector")
    return FOLDERS / folder


def test_the_registry_and_the_catalogue_have_the_same_collectors() -> None:
    assert sorted(REGISTRY) == sorted(c.name for c in COLLECTORS)


def test_each_folder_of_an_engine_is_in_the_registry() -> None:
    folders = {p.name for p in FOLDERS.iterdir() if (p / "__init__.py").is_file()}
    assert {folder_of(name).name for name in REGISTRY} == folders - NO_COLLECTOR


@pytest.mark.parametrize("collector", sorted(REGISTRY))
def test_a_collector_has_a_folder_and_an_engine(collector: str) -> None:
    assert (folder_of(collector) / "collector.py").is_file()
    assert [e.name for e in ENGINES if e.collector == collector]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_an_engine_has_a_collector(engine: EngineInfo) -> None:
    assert engine.collector in REGISTRY


def test_an_engine_has_one_row() -> None:
    assert len(BY_NAME) == len(ENGINES)


def test_what_only_wraps_a_program_is_a_sandbox() -> None:
    assert {BY_NAME[name].collector for name in WRAPPERS} == {"sandboxes"}


def test_one_binary_makes_containers_of_one_engine() -> None:
    for kind in ("makers", "scripts", "builders"):
        binaries = [binary for engine in ENGINES for binary in getattr(engine, kind)]
        assert len(binaries) == len(set(binaries)), kind


def test_an_engine_whose_folders_are_checked_has_a_title() -> None:
    assert [e.name for e in ENGINES if e.folders and not e.title] == []


def test_paths_are_written_as_their_readers_take_them() -> None:
    assert [s for e in ENGINES for s in e.sockets if not s.startswith("/")] == []
    assert [f for e in ENGINES for f in e.folders if f.startswith("/")] == []


def test_the_readme_lists_the_collectors_as_the_catalogue_does() -> None:
    readme = (TOP / "README.md").read_text()
    table = readme.partition("| collector | engines | reads |\n| --- | --- | --- |\n")[2]
    rows = table.partition("\n\n")[0].splitlines()
    assert rows == [f"| {c.name} | {c.engines} | {c.reads} |" for c in COLLECTORS]
