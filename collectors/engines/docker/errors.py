"""What can go wrong in a conversation with a Docker daemon."""

from __future__ import annotations


class ApiError(Exception):
    """A daemon did not answer, or not as a Docker daemon does; the message is one line."""


class NotFound(ApiError):
    """What was asked for is not there any more: normal."""


class Elsewhere(ApiError):
    """It is another machine's daemon: its containers are not on this host."""
