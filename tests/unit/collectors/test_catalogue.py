from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import collectors.engines
from collectors.catalogue import BY_NAME, COLLECTORS, ENGINES, WRAPPERS, EngineInfo
from collectors.engines.sandboxes.makers import engine_of
from collectors.registry import COLLECTORS as REGISTRY
from tests.support.processes import process

TOP = Path(__file__).parents[3]
FOLDERS = Path(collectors.engines.__file__).parent

NO_COLLECTOR = {"shared"}
"""Folders of collectors/engines that hold no engine."""

BY_BINARY = "known by the binary that makes it, as the test below does for each"
NOT_RUN = {
    "cri-o": "not in Debian: tests/hosts/test_made.py::test_crio",
    "kubernetes": "its containers are containerd's or CRI-O's",
    "buildkit": "steps of a build end within seconds: tests/unit/collectors/engines/sandboxes",
    "buildah": "as buildkit",
    "youki": "not in Debian: tests/unit/collectors/engines/runc",
    "incus": "not in Debian 12: the same collector as LXD's, which runs",
    "proxmox": "needs Proxmox VE: tests/hosts/test_made.py::test_proxmox",
    "openvz": "needs its own kernel: tests/hosts/test_openvz.py, of captured nodes",
    "snap": "needs snapd and its shop: tests/hosts/test_made.py::test_snap",
    "apptainer": "not in Debian 12: tests/hosts/test_made.py::test_apptainer",
    "singularity": "apptainer's former name, and the same files",
    "firejail": "runs as a look-alike: tests/engines/test_look_alikes.py::test_firejail",
    **dict.fromkeys(
        (
            *("lxc-unshare", "nsjail", "minijail", "schroot", "bazel", "nix", "nomad", "vagga"),
            *("mmdebstrap", "sbuild", "pbuilder", "mock"),
        ),
        BY_BINARY,
    ),
}
"""Engines that tests/engines does not run, and why."""

SPELT = {
    "classifier/init_kind.py": ({"runc", "crun", "youki"}, "binaries inside a container"),
    "cli/check.py": ({"docker", "openvz"}, "advice on what a failing collector needs"),
    "config/__init__.py": ({"docker", "openvz", "lxc"}, "collectors with options of their own"),
    "inventory/merge.py": ({"openvz"}, "a field of a container"),
    "logs.py": ({"docker"}, "the logger of a Python package"),
    "metrics/groups.py": ({"openvz"}, "a group of metrics"),
    "metrics/openvz.py": ({"openvz"}, "a group of metrics"),
    "phrases.py": ({"openvz", "lxc"}, "what systemd-detect-virt(1) says of the host"),
}
"""Where agent spells a name that is also an engine's or a collector's, and what it means there."""


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
    assert (folder_of(collector) / "discovery.py").is_file()
    assert [e.name for e in ENGINES if e.collector == collector]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_an_engine_has_a_collector(engine: EngineInfo) -> None:
    assert engine.collector in REGISTRY


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_an_engine_is_run_by_the_tests_or_there_is_a_reason(engine: EngineInfo) -> None:
    source = (TOP / "tests/engines/test_every_engine.py").read_text()
    case = re.search(
        rf"^def test_{re.escape(engine.name).replace('-', '_')}(_|\()", source, re.MULTILINE
    )
    assert (case is None) == (engine.name in NOT_RUN)


@pytest.mark.parametrize(
    "engine", [name for name, why in NOT_RUN.items() if why == BY_BINARY], ids=str
)
def test_a_wrapper_is_known_by_its_binary(engine: str) -> None:
    row = BY_NAME[engine]
    for binary in row.makers:
        assert engine_of(process(10, exe=f"/usr/bin/{binary}")) == engine
    for script in row.scripts:
        argv = ("perl", f"/usr/bin/{script}")
        assert engine_of(process(10, exe="/usr/bin/perl", argv=argv)) == engine
    assert row.makers or row.scripts


def test_the_agent_does_not_spell_engines() -> None:
    names = {*BY_NAME, *(collector.name for collector in COLLECTORS)}
    spelt = {}
    for file in sorted((TOP / "agent").rglob("*.py")):
        constants = (
            n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Constant)
        )
        name = str(file.relative_to(TOP / "agent"))
        allowed = SPELT[name][0] if name in SPELT else set()
        spelt[name] = {n.value for n in constants if n.value in names} - allowed
    assert {name: engines for name, engines in spelt.items() if engines} == {}


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
