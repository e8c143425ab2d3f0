"""Whether a shell waits for what a person types, or runs what it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.classifier.programs import MULTI_CALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.facts import Process

_WITH_VALUE = frozenset({"--rcfile", "--init-file", "--init-command"})
"""Long options whose value is the next word: bash(1), fish(1)."""
_SETTING = "oO"
"""The last letter of a word of short options whose value is the next word: ``-o vi``, ``+O``."""


def is_interactive(shell: Process) -> bool:
    """Return whether a shell reads commands from a person, sh(1).

    It was given neither a script nor ``-c``, and it has a terminal or was told with ``-i`` to act
    as if it had one (``docker exec -i NAME bash -i``).
    """
    options = []
    for word in _words(shell):
        if not word.startswith(("-", "+")):
            return False  # a script
        options.append(word)
    short = [word for word in options if word.startswith("-") and not word.startswith("--")]
    if "--command" in options or any("c" in word for word in short):
        return False
    told = "--interactive" in options or any("i" in word for word in short)
    return bool(shell.tty) or told


def _words(shell: Process) -> Iterator[str]:
    """Return the words after the name of a shell, without the values of its options."""
    words = iter(shell.argv[1:])
    if shell.argv and shell.argv[0].rpartition("/")[2] in MULTI_CALL:
        next(words, None)  # busybox sh
    for word in words:
        if not word:
            continue  # what is left of a title that was overwritten
        yield word
        long = word.startswith("--")
        if word in _WITH_VALUE or (not long and word[:1] in "-+" and word[-1] in _SETTING):
            next(words, None)
