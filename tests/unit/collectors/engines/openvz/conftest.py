"""Nodes of OpenVZ with a collector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.openvz_node import AskedNode, make_node, without_symlinks


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for vzlist's first answer, however busy the machine is."""
    monkeypatch.setattr("collectors.engines.openvz.vzlist.sources.FIRST_WAIT", 60.0)


@pytest.fixture
def node4(tmp_path: Path) -> Iterator[AskedNode]:
    node = AskedNode(tmp_path, 4)
    yield node
    node.collector.close()


@pytest.fixture
def node7(tmp_path: Path) -> Iterator[AskedNode]:
    node = AskedNode(tmp_path, 7)
    yield node
    node.collector.close()


@pytest.fixture(params=[4, 7])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AskedNode]:
    node = AskedNode(tmp_path, request.param)
    yield node
    node.collector.close()


@pytest.fixture(params=[4, 7])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> AskedNode:
    return AskedNode(tmp_path, request.param, vzlist=False)


@pytest.fixture(params=["links", "files"])
def tree4(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    node = make_node(tmp_path / "4", 4)
    if request.param == "files":
        without_symlinks(node)
    return node


@pytest.fixture(params=["links", "files"])
def tree7(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    node = make_node(tmp_path / "7", 7)
    if request.param == "files":
        without_symlinks(node)
    return node
