"""The six dashboards, in the order in which one drills down."""

from __future__ import annotations

from dashboards.boards import agent, app, container, fleet, host, system

BOARDS = (fleet.BOARD, host.BOARD, app.BOARD, system.BOARD, container.BOARD, agent.BOARD)
"""All dashboards."""
