"""What each engine is made for: a prior, never the answer."""

from __future__ import annotations

from agent.model import Style
from collectors.catalogue import ENGINES, MadeFor

_MADE_FOR = {engine.name: engine.made_for for engine in ENGINES}


def expected_style(engine: str, boots: bool | None = None) -> Style:
    """Return the style that an engine is made for.

    Where it is made for either, ``boots`` decides: for systemd-nspawn, the option ``--boot``.
    """
    match _MADE_FOR.get(engine, MadeFor.UNKNOWN):
        case MadeFor.APP:
            return Style.APP
        case MadeFor.SYSTEM:
            return Style.SYSTEM
        case MadeFor.EITHER if boots is not None:
            return Style.SYSTEM if boots else Style.APP
    return Style.UNKNOWN
