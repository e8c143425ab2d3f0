"""Tests that only root can run."""

from __future__ import annotations

import os

import pytest

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="takes files of root's, or of several users")
"""For tests in which it matters whose a file is: only root can give files away."""
