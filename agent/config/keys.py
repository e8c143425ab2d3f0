"""How configuration is read: keys declared on dataclasses, values from TOML and from flags.

A key is declared once, with ``key(...)`` on a field of a section (a frozen dataclass): its
default, permitted values, flag and help. All problems are collected and reported at once; each says
where it is and what would be right.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from agent.sanitize import printable

Section = TypeVar("Section")

_DURATION = re.compile(
    r"(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?(?:(?P<ms>\d+)ms)?"
)
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class ConfigError(Exception):
    """The configuration is wrong; each of ``problems`` is one line that says what is right."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True, slots=True)
class Kind:
    """The values a key takes. ``check`` returns the one to use, or raises ValueError."""

    check: Callable[[Any], Any]
    from_flag: Callable[[str], Any] = str
    """Converts the text of a flag to the value that TOML would give."""
    repeated: bool = False
    """The flag may be repeated; each adds a value."""
    metavar: str = "TEXT"


@dataclass(frozen=True, slots=True)
class Key:
    """The declaration of one key, without its default."""

    kind: Kind
    help: str
    flag: str = ""
    """Empty: the key has no flag and can only be set in the file."""
    shown: str = ""
    """The default as the help shows it; empty: it is not shown."""


def key(default: Any, kind: Kind, help_text: str, *, flag: str = "") -> Any:
    """Declare a key as a field of a section."""
    metadata = {"key": Key(kind, help_text, flag, show_default(default))}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def show_default(value: Any) -> str:
    """Return a default as the help shows it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}s"
    return str(value) if isinstance(value, str | int) else ""


def keys(section: type) -> dict[str, Key]:
    """Return the keys that a section declares, by name."""
    return {
        field.name: field.metadata["key"]
        for field in dataclasses.fields(section)
        if "key" in field.metadata
    }


class Reader:
    """Reads the values of one source (a file, or the flags) and collects the problems."""

    def __init__(self, source: str = "") -> None:
        self._source = f"{source}: " if source else ""
        self.problems: list[str] = []

    def problem(self, where: str, what: str) -> None:
        """Note what is wrong with ``where``."""
        self.problems.append(f"{self._source}{where}: {what}")

    def section(self, current: Section, table: object, where: str) -> Section:
        """Return ``current`` with the values of ``table``; wrong ones leave the old value."""
        declared = keys(type(current))
        changes = {
            name: checked
            for name, value in self.table(table, where, declared).items()
            if (checked := self.value(declared[name], value, f"{where}.{name}")) is not None
        }
        return dataclasses.replace(current, **changes) if changes else current  # type: ignore[type-var]

    def table(self, value: object, where: str, names: Iterable[str]) -> dict[str, Any]:
        """Return the entries of a TOML table that have one of ``names``; others are problems."""
        if not isinstance(value, Mapping):
            self.problem(where, f"must be a table [{where}], not {_show(value)}")
            return {}
        names = tuple(names)
        for name in value:
            if name not in names:
                path = f"{where}.{printable(name)}" if where else printable(name)
                self.problem(path, unknown(name, names, "key"))
        return {name: entry for name, entry in value.items() if name in names}

    def value(self, declared: Key, value: object, where: str) -> Any:
        """Return a checked value, or None if it is wrong."""
        try:
            return declared.kind.check(value)
        except ValueError as error:
            scalar = isinstance(value, str | int | float)
            self.problem(where, f"{error}, not {_show(value)}" if scalar else str(error))
            return None


def unknown(name: str, known: Iterable[str], what: str) -> str:
    """Return the message that a name is unknown, with the one that was probably meant."""
    known = tuple(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f'unknown {what}; did you mean "{close[0]}"?'
    return f"unknown {what}; there are: {', '.join(known)}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError('must be a quoted string, such as "…"')


def _boolean(value: Any) -> bool:
    if value is not True and value is not False:
        raise ValueError("must be true or false")
    return value is True


def _duration(value: Any) -> float:
    parts = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not parts or not value:
        raise ValueError('must be a time with its unit, such as "90s", "5m" or "1h30m"')
    return sum(_SECONDS[unit] * int(number) for unit, number in parts.groupdict("0").items())


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError('must be a list of strings, such as ["…", "…"]')
    return tuple(value)


def _whole_number(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text  # the check reports it


def _show(value: object) -> str:
    return printable(f'"{value}"' if isinstance(value, str) else str(value).lower(), 60)


TEXT = Kind(_text)
BOOLEAN = Kind(_boolean, metavar="")
TEXTS = Kind(_texts, repeated=True)


def choice(*choices: str) -> Kind:
    """Return the kind of key that takes one of these words."""

    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError("must be " + " or ".join(f'"{word}"' for word in choices))
        return str(value)

    return Kind(check, metavar="|".join(choices))


def count(least: int = 0) -> Kind:
    """Return the kind of key that takes a whole number of at least ``least``."""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"must be a whole number, at least {least}")
        return value

    return Kind(check, _whole_number, metavar="NUMBER")


def duration(least: float) -> Kind:
    """Return the kind of key that takes a time of at least ``least`` seconds, such as ``90s``."""

    def check(value: Any) -> float:
        seconds = _duration(value)
        if seconds < least:
            raise ValueError(f'must be at least "{least:g}s"')
        return seconds

    return Kind(check, metavar="TIME")
