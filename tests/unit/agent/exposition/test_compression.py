from __future__ import annotations

import gzip
import zlib

from agent.exposition import compressed


def test_compression_in_pieces_gives_the_page() -> None:
    pieces = [b"a" * 1000, b"", b"b" * 100_000]
    assert gzip.decompress(b"".join(compressed(pieces))) == b"".join(pieces)
    assert zlib.decompress(b"".join(compressed([])), 31) == b""
