"""Opens an inotify(7) instance, where there is one to be had."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inotify_simple import INotify

log = logging.getLogger(__name__)


def open_inotify(without: str) -> INotify | None:
    """Open one that never blocks; None where it cannot be used, and ``without`` is what follows."""
    from inotify_simple import INotify  # noqa: PLC0415 - a one-shot run needs none

    try:
        return INotify(inheritable=False, nonblocking=True)
    except OSError as error:
        log.warning("inotify: %s; %s", error, without)
        return None
