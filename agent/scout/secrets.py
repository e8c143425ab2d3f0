"""Masks what looks like a secret in the arguments of a process.

Nobody can tell every secret: this is why arguments are only shown where that is configured.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"

_WORDS_SHOWN = 32
_WORD_LIMIT = 200

_NAMES = (
    r"(?:pass(?:wd|word|phrase|code)?s?|pwd|secrets?|tokens?|apikeys?|"
    r"(?<![a-z])(?:(?:api|access|private|secret|encryption|signing|account)[-_.]?)?keys?|"
    r"(?<![a-z])(?:auth(?:orization)?|cred(?:ential)?s?|cookie|salt|bearer|dsn|webhook|license))"
)
"""Matched anywhere in a word, the first alternatives also at the end of a longer one."""
_TAIL = r"(?:[-_.]?(?:value|string|hash|id))?"
_ASSIGNED = re.compile(rf"(?i)({_NAMES}{_TAIL}[\"']?\s*[=:]\s*)(.+)", re.DOTALL)
"""``--password=x``, ``DB_PASS=x``, ``token: x``; from there on all is masked."""
_ANNOUNCED = re.compile(rf"(?i){_NAMES}$")
"""``--password``: the next word is masked. ``-p`` and ``-u`` of many programs are, too."""
_SHORT = frozenset({"-p", "-P", "-u", "-a", "-k", "-K", "-w", "-x", "-H", "--user", "--header"})
_GLUED = re.compile(r"-[pau](?=.{3})(?!id)[^=/]+")
"""``-psecret`` as mysql takes it, ``-asecret`` as redis-cli does."""
_USER_INFO = re.compile(r"(://)[^/@\s]*@")
"""``postgres://user:secret@host/``."""
_QUERY = re.compile(r"(://[^\s?#]*)[?#]\S+")
"""What follows the path of an address: signatures and tokens stand there."""
_RANDOM = re.compile(r"(?<![\w/.-])(?=\w)(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Za-z])[\w+=-]{20,}(?![\w/])")
"""Long words of letters and digits: keys, tokens, digests."""
_TOKENS = re.compile(
    r"(?:eyJ[\w-]{8,}[\w.-]*|gh[pousr]_\w+|glpat-[\w-]+|xox[a-z]-[\w-]+|AKIA\w{12,}|sk-[\w-]{8,})"
)
_KEY_BLOCK = re.compile(r"-----BEGIN.*", re.DOTALL)


def masked(words: Iterable[str]) -> tuple[str, ...]:
    """Return arguments with what looks like a secret masked, and cut to what is shown."""
    shown: list[str] = []
    hide_next = False
    for number, whole in enumerate(words):
        word = whole[: 2 * _WORD_LIMIT]
        if number == _WORDS_SHOWN:
            shown.append("…")
            break
        shown.append(MASK if hide_next and word else _masked_word(word))
        hide_next = word in _SHORT or ("=" not in word and bool(_ANNOUNCED.search(word)))
    return tuple(word if len(word) <= _WORD_LIMIT else word[:_WORD_LIMIT] + "…" for word in shown)


def _masked_word(word: str) -> str:
    """Return one argument, which may be a whole script after ``-c``, with its secrets masked."""
    word = _KEY_BLOCK.sub(MASK, word)
    word = _USER_INFO.sub(rf"\1{MASK}@", word)
    word = _QUERY.sub(rf"\1?{MASK}", word)
    word = _ASSIGNED.sub(rf"\1{MASK}", word)
    if _GLUED.fullmatch(word):
        return word[:2] + MASK
    if any(char.isspace() for char in word):
        return " ".join(masked(word.split()))
    return _RANDOM.sub(MASK, _TOKENS.sub(MASK, word))
