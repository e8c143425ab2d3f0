"""Makes untrusted text (names, images, labels, paths) safe to print.

A container's name may hold escape sequences that rewrite a terminal, bidirectional marks that
reverse a line, newlines that forge one, and bytes that are not UTF-8 (surrogates, PEP 383), which
cannot be printed. All of them become visible escapes; two different names stay different.
"""

from __future__ import annotations

LIMIT = 500
"""Longest text that is printed: a path can have 4,096 bytes, a label a megabyte."""


def printable(text: str, limit: int = LIMIT) -> str:
    r"""Return ``text`` as one line; what is not printable becomes an escape such as ``\x1b``."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def escape_bytes(text: str) -> str:
    r"""Return ``text`` with bytes that are not UTF-8 (surrogates) as ``\xff``, else unchanged.

    For JSON and other formats that have escapes of their own, but must be valid Unicode.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(_escape(char) if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode could not decode
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
