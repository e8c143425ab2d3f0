"""The first process that an engine puts into a container itself, before what it was told to run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.classifier.programs import lookup
from collectors.catalogue import BY_NAME

if TYPE_CHECKING:
    from agent.classifier.identity import Identity
    from collectors.facts import Process

_REAPER = "lxc-init"


def as_engines_own(first: Process, identity: Identity, engine: str) -> Identity:
    """Return the identity of a first process: a reaper, if its binary is its engine's own.

    liblxc starts what is no init (lxc-execute, an OCI image in Incus) below a small init: a
    ``init.lxc`` of the host, or, where that cannot be run inside, a fork of lxc-execute or of the
    daemon. It is no program of the container, whatever its title says.
    """
    known = BY_NAME.get(engine)
    name = (first.exe or "").removesuffix(" (deleted)").rpartition("/")[2]
    if known is None or name not in known.inits:
        return identity
    return replace(identity, name=name, trust=1.0, info=lookup(_REAPER), basis="exe")
