"""Collectors of engines are given time: how long a machine takes says nothing of them."""

from __future__ import annotations

import pytest

from collectors.engines.shared import turns


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what strangers own be read to the end, however slow the machine is."""
    monkeypatch.setattr(turns, "_SECONDS", 60.0)
    monkeypatch.setattr(turns, "_FIRST_SECONDS", 60.0)
