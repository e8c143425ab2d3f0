"""What each engine is made for, or was told to do: a prior, never the answer."""

from __future__ import annotations

from agent.model import Style
from collectors.catalogue import ENGINES, MadeFor

_MADE_FOR = {engine.name: engine.made_for for engine in ENGINES}


def made_for(engine: str) -> MadeFor:
    """Return what an engine is made for, whatever it was told about one container."""
    return _MADE_FOR.get(engine, MadeFor.UNKNOWN)


def expected_style(engine: str, boots: bool | None = None) -> Style:
    """Return the style that an engine is made for, or was told to run.

    ``boots`` is what it was told: systemd-nspawn by its option ``--boot``, LXC by
    ``lxc.init.cmd``, Incus by the image's kind. What is made for servers and was told to run a
    program is an application's; an engine made for applications stays one whatever it runs.
    """
    match made_for(engine):
        case MadeFor.APP:
            return Style.APP
        case MadeFor.SYSTEM:
            return Style.APP if boots is False else Style.SYSTEM
        case MadeFor.EITHER if boots is not None:
            return Style.SYSTEM if boots else Style.APP
    return Style.UNKNOWN
