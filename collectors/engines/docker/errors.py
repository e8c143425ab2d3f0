"""What can go wrong in a conversation with a Docker daemon."""

from __future__ import annotations


class ApiError(Exception):
    """A daemon did not answer, or its answer is not Docker's; the message is one line."""


class NotFound(ApiError):
    """The container or image is gone: normal, as both are listed before they are inspected."""


class RemoteDaemon(ApiError):
    """The daemon is another machine's: its containers are not on this host."""


class Late(ApiError):
    """A daemon has never answered yet, and still may."""


class Refused(ApiError):
    """The daemon listens, and does not let the agent ask."""
