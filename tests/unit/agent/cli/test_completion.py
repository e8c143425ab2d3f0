"""Completion of the shells that are there, and what it never offers."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.cli.completion import names, script
from agent.cli.flags import SHELLS
from tests.support.snapshots import BAD, WEB, picture

if TYPE_CHECKING:
    from pathlib import Path


def test_only_plain_names_are_offered() -> None:
    hostile = ("$(reboot)", "`id`", "a b", "-rf", "x;y", "\x1b[0m", "", "n\nm", "*")
    made = [replace(WEB, id=f"/{n}", name=name) for n, name in enumerate(hostile)]
    assert names(picture(*made, BAD, WEB, replace(WEB, id="/x", name="db_1.a-b"))) == [
        "db_1.a-b",
        "web",
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ex", ["explain"]),
        ("explain w", ["web-1", "web-2"]),
        ("explain --js", ["--json"]),
        ("ls --sor", ["--sort"]),
        ("ls --wid", ["--wide"]),
        ("completion z", ["zsh"]),
        ("explain nothing", []),
    ],
)
def test_bash(words: str, expected: list[str], tmp_path: Path) -> None:
    program = tmp_path / "tallyman"
    program.write_text('#!/bin/sh\n[ "$1" = names ] && printf "web-1\\nweb-2\\ndb\\n"\n')
    program.chmod(0o755)
    line = ["tallyman", *words.split()]
    asked = (
        f"{script('bash')}\nCOMP_WORDS=({' '.join(line)}); COMP_CWORD={len(line) - 1}\n"
        '_tallyman\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-u", "-c", asked],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert done.stderr == ""
    assert [found for found in done.stdout.splitlines() if found] == expected


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_names_commands_and_flags(shell: str) -> None:
    text = script(shell)
    for word in ("serve", "explain", "sort", "web.listen-address", "tallyman names"):
        assert word in text
    if shutil.which(shell):
        done = subprocess.run(
            [shell, "-n"], input=text, text=True, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
