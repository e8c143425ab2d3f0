"""conmon(8), the monitor process of podman's and CRI-O's containers."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from collectors.engines.shared.processes import binary_name
from collectors.formats.command_line import option_value, option_values

if TYPE_CHECKING:
    from collectors.facts import Process


def is_conmon(process: Process | None) -> bool:
    """Return whether a process is a conmon."""
    return process is not None and binary_name(process) == "conmon"


def is_of_podman(monitor: Process) -> bool:
    """Return whether a conmon works for podman and not for CRI-O."""
    command = posixpath.basename(option_value(monitor.argv, "--exit-command"))
    return command == "podman" or "/libpod" in option_value(monitor.argv, "--exit-dir")


def exit_command(monitor: Process) -> tuple[str, ...]:
    """Return the command that a conmon calls when the container ends, without its program.

    podman gives it the options that it was called with itself: its store.
    """
    return ("podman", *option_values(monitor.argv, "--exit-command-arg"))
