"""A tree of files as one text: thousands of tiny files of /proc and /sys that people can diff.

Each entry begins with a line of its kind and path, and a file's content follows it:

    d PATH                    a directory (parents of other entries need none)
    l PATH TARGET             a symbolic link, which may lead nowhere: ns/mnt -> mnt:[4026531841]
    f PATH LINES TIME         a text file of so many lines; bytes that are no text are escaped
    z PATH LINES TIME         a binary file: zlib in base64
    = PATH OTHER              the same content as a file that came before

TIME is when the file was last written, 0 where that means nothing. LINES has a ``-`` behind it
when the last line does not end. Paths have no blanks: these are escaped like other bytes.
"""

from __future__ import annotations

import base64
import os
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TO_ESCAPE = re.compile(rb"[^\x20-\x5b\x5d-\x7e\t]")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
_HEAD = "# A host's files as text; tests/hosts/archive.py says how to read it.\n"


@dataclass(slots=True)
class Archive:
    """The entries of a tree by path, in the order in which they were added."""

    directories: dict[str, None] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    """Content, and when it was written."""

    def add(self, path: str, content: bytes, written: float = 0) -> None:
        """Add a file."""
        self.files[path] = (content, int(written))

    def dump(self) -> str:
        """Return the text, in the order of the paths."""
        first: dict[bytes, str] = {}
        blocks = [_HEAD]
        for path in sorted({*self.directories, *self.links, *self.files}):
            name = _name(path)
            if path in self.links:
                blocks.append(f"l {name} {_name(self.links[path])}\n")
            elif path not in self.files:
                blocks.append(f"d {name}\n")
            else:
                content, written = self.files[path]
                same = first.setdefault(content, path)
                if same != path and len(content) > 100 and not written:
                    blocks.append(f"= {name} {_name(same)}\n")
                else:
                    blocks.append(_block(name, content, written))
        return "".join(blocks)

    def unpack(self, into: Path) -> None:
        """Make the tree below a directory."""
        for path in self.directories:
            (into / path).mkdir(parents=True, exist_ok=True)
        for path, (content, written) in self.files.items():
            place = into / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            if written:
                os.utime(place, (written, written))
        for path, target in self.links.items():
            (into / path).parent.mkdir(parents=True, exist_ok=True)
            (into / path).symlink_to(target)


def load(text: str) -> Archive:
    """Read what ``dump`` has written; anything else is ValueError."""
    archive = Archive()
    lines = iter(text.removeprefix(_HEAD).splitlines())
    for line in lines:
        kind, *words = line.split(" ")
        match kind, words:
            case "d", [path]:
                archive.directories[_path(path)] = None
            case "l", [path, target]:
                archive.links[_path(path)] = _path(target)
            case "=", [path, other]:
                archive.add(_path(path), archive.files[_path(other)][0])
            case "f" | "z", [path, count, written]:
                archive.add(_path(path), _content(kind, count, lines), int(written))
            case _:
                raise ValueError(f"not an entry: {line[:80]}")
    return archive


def _block(name: str, content: bytes, written: int) -> str:
    if _is_text(content):
        escaped = [_escape(line) for line in content.split(b"\n")]
        unfinished = "-" if escaped[-1] else ""
        lines = escaped if unfinished else escaped[:-1]
        kind = "f"
    else:
        packed = base64.b64encode(zlib.compress(content, 9)).decode()
        lines = [packed[at : at + 96] for at in range(0, len(packed), 96)]
        kind, unfinished = "z", ""
    head = f"{kind} {name} {len(lines)}{unfinished} {written}\n"
    return head + "".join(f"{line}\n" for line in lines)


def _content(kind: str, count: str, lines: Iterator[str]) -> bytes:
    taken = [next(lines) for _ in range(int(count.rstrip("-")))]
    if kind == "z":
        return zlib.decompress(base64.b64decode("".join(taken)))
    content = b"\n".join(_unescape(line) for line in taken)
    return content if count.endswith("-") or not taken else content + b"\n"


def _is_text(content: bytes) -> bool:
    # cmdline and environ are text with NULs between the words.
    return len(_TO_ESCAPE.findall(content)) - content.count(b"\n") <= len(content) // 4


def _escape(data: bytes) -> str:
    return _TO_ESCAPE.sub(lambda m: b"\\x%02x" % m[0][0], data).decode("ascii")


def _unescape(text: str) -> bytes:
    return _ESCAPED.sub(lambda m: bytes([int(m[1], 16)]), text.encode("ascii"))


def _name(path: str) -> str:
    return _escape(os.fsencode(path)).replace(" ", "\\x20")


def _path(name: str) -> str:
    return os.fsdecode(_unescape(name))
