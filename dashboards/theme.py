"""What all dashboards share: their addresses, and what each colour means."""

from __future__ import annotations

from enum import StrEnum

TAG = "tallyman"
SCHEMA_VERSION = 41
"""Grafana 11.6's; newer ones migrate it when they load it."""

BLUE = "blue"
PURPLE = "purple"
GREY = "#8E8E8E"
SAND = "#B7A57A"
GREEN = "green"
ORANGE = "orange"
RED = "red"
TEXT = "text"

STYLE_COLOURS = {"app": BLUE, "system": PURPLE, "unknown": GREY, "none": SAND}
"""One colour for a style, everywhere; ``none`` is what runs outside containers."""


class Uid(StrEnum):
    """The dashboards' addresses: alerts, bookmarks and data links point at them."""

    FLEET = "tallyman-fleet"
    HOST = "tallyman-host"
    APP = "tallyman-app"
    SYSTEM = "tallyman-system"
    ONE = "tallyman-one"
    AGENT = "tallyman-agent"
