"""The counter files of one container's cgroups: which are open, and what each last contained."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from collectors.kernel.counters.sources import Scalar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.hostfs import Dir
    from collectors.kernel.counters.calls import Calls
    from collectors.kernel.counters.devices import Devices
    from collectors.kernel.counters.model import Draft
    from collectors.kernel.counters.sources import Source

RECHECK = 8
"""Every so many rounds a container that has not run is read in full all the same, and a missing
file is tried again."""


class _File:
    """A counter file: its descriptor while it is kept open, and its last content."""

    __slots__ = ("absent_until", "directory", "fd", "parse", "raw", "source")

    def __init__(self, source: Source, directory: str) -> None:
        self.source = source
        self.parse = source.parse
        self.directory = directory
        self.fd = -1
        self.raw: bytes | None = None
        self.absent_until = 0


class CgroupFiles:
    """Reads the files of one container into its draft; an unchanged file is not parsed.

    After ``read``, ``alive`` is whether any of the files exists, ``changed`` whether the draft has
    changed, and ``ran`` whether the container may have had CPU time since the last read.
    """

    __slots__ = (
        "_counts_cpu",
        "_files",
        "_round",
        "_sys",
        "alive",
        "changed",
        "kept",
        "ran",
        "sources",
    )

    def __init__(self, sys: Dir, chosen: tuple[Source, ...], paths: Mapping[str, str]) -> None:
        self._sys = sys
        self.sources = chosen
        """What is read."""
        self._files = [_File(source, paths[source.controller]) for source in chosen]
        self._counts_cpu = bool(chosen) and Scalar.CPU_USAGE in chosen[0].scalars
        self._round = 0
        self.alive = self.changed = self.ran = False
        self.kept = 0
        """How many descriptors are kept."""

    def keep(self, most: int) -> None:
        """Close all descriptors but the first ``most``."""
        for file in [file for file in self._files if file.fd >= 0][max(0, most) :]:
            self._close(file)

    def read(self, calls: Calls, most_kept: int, draft: Draft, devices: Devices) -> None:
        """Read what can have changed; files beyond ``most_kept`` are opened and closed again."""
        self._round += 1
        pread = calls.pread
        # The CPU time comes first, and last what cannot change while there is none.
        ran = not self._counts_cpu or self._round % RECHECK == 1
        alive = changed = False
        kept = 0
        for file in self._files:
            if not ran and not file.source.moves_when_idle:
                break
            raw = None
            if file.fd >= 0:
                try:
                    raw = pread(file.fd)
                except OSError:
                    # ENODEV: the cgroup was removed. One that was restarted has the same path.
                    self._close(file)
            if raw is None:
                raw = self._open(file, calls, keep=kept < most_kept)
            if raw is None:
                changed |= self._lose(file, draft)
                continue
            alive = True
            kept += 1
            if raw != file.raw:
                file.raw = raw
                file.parse(raw, draft.scalars, draft.tables, devices)
                changed = True
                ran = ran or file is self._files[0]
        if not alive:
            # It may be back in a moment, under the same path.
            for file in self._files:
                file.absent_until = 0
        self.alive, self.changed, self.ran = alive, changed, ran

    def _open(self, file: _File, calls: Calls, *, keep: bool) -> bytes | None:
        if file.absent_until > self._round:
            return None
        path = f"{file.directory}/{file.source.file}"
        try:
            fd = calls.open(path, self._sys.fd)
        except OSError as error:
            self._sys.translate(error, path)
            file.absent_until = self._round + RECHECK
            return None
        try:
            raw = calls.pread(fd)
        except OSError as error:
            self._sys.translate(error, path)
            raw, keep = None, False
        if keep:
            file.fd = fd
            self.kept += 1
        else:
            os.close(fd)
        return raw

    def _close(self, file: _File) -> None:
        os.close(file.fd)
        file.fd = -1
        self.kept -= 1

    @staticmethod
    def _lose(file: _File, draft: Draft) -> bool:
        """Make the values of a file unknown: a counter that cannot be read is absent, not zero."""
        if file.raw is None:
            return False
        file.raw = None
        for scalar in file.source.scalars:
            draft.scalars[scalar] = None
        for table in file.source.tables:
            draft.tables.pop(table, None)
        return True
