"""Compression piece by piece, so that a page is never in memory as a whole."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

try:
    from isal import isal_zlib as fastest
except ImportError:
    import zlib as fastest  # type: ignore[no-redef]

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
"""For zlib, 16 more means gzip's header and trailer."""


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Compress a page as gzip, piece by piece.

    ISA-L takes a quarter of zlib's time on such pages; where it is missing, zlib at its fastest.
    """
    compressor = fastest.compressobj(1, zlib.DEFLATED, _GZIP_WINDOW)
    for piece in pieces:
        out = compressor.compress(piece)
        if out:
            yield out
    yield compressor.flush()
