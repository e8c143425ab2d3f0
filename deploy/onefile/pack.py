"""Writes the one file: its head, the manifest and the contents of a tree, and a line about them.

The same head, tree and time give the same bytes: modes, times and order are not taken from the
tree. The layout is explained in head.c, which reads it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path


def entries(tree: Path) -> Iterator[tuple[str, Path]]:
    """Yield each directory and file with its line in the manifest, parents first."""
    for path in (tree, *sorted(tree.rglob("*"))):
        mode = path.lstat().st_mode
        name = path.relative_to(tree).as_posix()
        if stat.S_ISDIR(mode):
            yield f"d 755 0 {name}\n", path
        elif stat.S_ISREG(mode) and "\n" not in name:
            yield f"f {'755' if mode & 0o100 else '644'} {path.stat().st_size} {name}\n", path
        else:
            raise ValueError(f"{path} is neither a directory nor a file")


def pack(head: Path, tree: Path, target: Path, stamp: int) -> str:
    """Write the file, and return the hash of its contents, which names the unpacked tree."""
    lines, contents = [], []
    for line, path in entries(tree):
        lines.append(line)
        if path.is_file():
            contents.append(path.read_bytes())
    manifest, content = "".join(lines).encode(), b"".join(contents)
    whole = b"%d %d\n%b%b" % (stamp, len(manifest), manifest, content)
    digest = hashlib.sha256(whole).hexdigest()[:16]
    packed = [zlib.compress(part, 9) for part in (manifest, content)]
    numbers = (len(packed[0]), len(manifest), len(packed[1]), len(content), stamp)
    trailer = f"tallyman-onefile 1 {' '.join(f'{number:>10}' for number in numbers)} {digest}\n"
    target.write_bytes(b"".join([head.read_bytes(), *packed, trailer.encode()]))
    target.chmod(0o755)
    return digest


if __name__ == "__main__":
    _, head_file, tree_directory, target_file = sys.argv
    pack(
        Path(head_file),
        Path(tree_directory),
        Path(target_file),
        int(os.environ["SOURCE_DATE_EPOCH"]),
    )
