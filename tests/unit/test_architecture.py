"""The imports of the code, held against the floors that docs/architecture.md names.

Every import counts: those inside functions, and those for types alone, which bind the code of two
modules together as much as any other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.support import CLONE

PAGE = CLONE / "docs" / "architecture.md"
PACKAGES = ("agent", "collectors", "dashboards")


@cache
def modules() -> Mapping[str, Path]:
    """Return the source file of each module by its dotted name."""
    files = (file for package in PACKAGES for file in (CLONE / package).rglob("*.py"))
    return {module_name(file): file for file in files}


def module_name(file: Path) -> str:
    parts = file.relative_to(CLONE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports() -> Mapping[str, frozenset[str]]:
    """Return the project's own modules that each module imports."""
    return {
        module: frozenset(set(imported(file.read_text(), modules())) - {module})
        for module, file in modules().items()
    }


def imported(source: str, known: Mapping[str, object]) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module in known:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else node.module


def circles(graph: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """Return the groups of modules that reach each other: Tarjan's strongly connected ones."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in number:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], number[other])
        if lowest[module] == number[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for module in sorted(graph):
        if module not in number:
            visit(module)
    return groups


@cache
def floors() -> Mapping[str, int]:
    """Return the floor of each room, the lowest 0, from the table on the page."""
    table = re.search(r"^\| floor \|.*\n\|.*\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)
    assert table, "docs/architecture.md has no table of floors"
    rows = [re.findall(r"`([\w./]+)`", row.split("|")[2]) for row in table[1].splitlines()]
    assert all(rows), "a floor without a room"
    return {
        room.removesuffix(".py").strip("/").replace("/", "."): floor
        for floor, rooms in enumerate(reversed(rows))
        for room in rooms
    }


def room_of(module: str) -> str:
    """Return the room that a module lies in: the longest that is above it, or it itself."""
    rooms = [r for r in floors() if module == r or module.startswith(r + ".")]
    return max(rooms, key=len, default="")


def test_every_module_has_a_floor() -> None:
    # A package's own __init__ does not need one: what it says is in its rooms.
    homeless = [m for m, file in modules().items() if not room_of(m) and not is_empty(file)]
    assert homeless == []


def is_empty(file: Path) -> bool:
    """Return whether a file imports and defines nothing but constants."""
    return not any(
        isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
        for node in ast.parse(file.read_text()).body
    )


def test_every_room_on_the_page_is_there() -> None:
    for room in floors():
        assert any(m == room or m.startswith(room + ".") for m in modules()), room


def test_imports_run_in_no_circle() -> None:
    assert circles(imports()) == []


def test_no_import_runs_up() -> None:
    wrong = [
        f"{module} (floor {floors()[mine]}) imports {other} (floor {floors()[theirs]})"
        for module, others in imports().items()
        for other in others
        if (mine := room_of(module)) and (theirs := room_of(other)) and mine != theirs
        if floors()[theirs] >= floors()[mine]
    ]
    assert wrong == []


def test_engines_do_not_know_each_other() -> None:
    """One engine's folder is nobody else's bench; Proxmox alone stands on LXC, which it runs."""
    arrows = {
        (mine, theirs)
        for module, others in imports().items()
        for other in others
        if (mine := engine_of(module)) and (theirs := engine_of(other)) and mine != theirs
    }
    assert {(m, t) for m, t in arrows if t != "shared"} == {("proxmox", "lxc")}


def engine_of(module: str) -> str:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["collectors", "engines"] and len(parts) > 2 else ""


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(
        re.findall(
            r"`((?:agent|collectors|dashboards|docs|tests|deploy)/[\w./-]*)`", PAGE.read_text()
        )
    )
    assert len(named) > 30
    missing = [name for name in named if not (CLONE / name).exists()]
    assert missing == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b", {"a.b"}),
        ("from a import b", {"a.b"}),
        ("from a.b import something", {"a.b"}),
        ("def f():\n    from a import c", {"a"}),
        ("if TYPE_CHECKING:\n    from a.b import T", {"a.b"}),
        ("import os", set()),
    ],
)
def test_which_imports_count(source: str, expected: set[str]) -> None:
    assert set(imported(source, {"a": 0, "a.b": 0})) == expected


def test_a_circle_is_seen() -> None:
    graph = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("a"), "d": frozenset("a")}
    assert circles(graph) == [["a", "b", "c"]]
