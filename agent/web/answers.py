"""Headers that every answer has, and what a client accepts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

Headers = list[tuple[str, str]]
StartResponse = Callable[[str, Headers], object]

NOTHING_ALLOWED = "default-src 'none'; frame-ancestors 'none'"
"""A Content-Security-Policy for what is no page."""

_SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
)


def start(
    start_response: StartResponse,
    status: str,
    headers: Iterable[tuple[str, str]],
    policy: str = NOTHING_ALLOWED,
    *,
    cache: str = "no-store",
) -> None:
    """Begin an answer."""
    start_response(
        status,
        [
            *headers,
            ("Content-Security-Policy", policy),
            *_SECURITY_HEADERS,
            ("Cache-Control", cache),
        ],
    )


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a client accepts gzip, RFC 9110 section 12.5.3."""
    codings = {part.partition(";")[0]: quality for part, quality in preferences(accept_encoding)}
    return codings.get("gzip", codings.get("*", 0.0)) > 0


def preferences(header: str) -> Iterator[tuple[str, float]]:
    """Split a header into what is accepted, in lower case, and its quality."""
    for part in header.lower().split(","):
        words = [word.strip() for word in part.split(";")]
        quality = next((word[2:] for word in words if word.startswith("q=")), "1")
        try:
            yield ";".join(words), float(quality)
        except ValueError:
            yield ";".join(words), 0.0
