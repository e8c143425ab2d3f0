"""Programs that stand in for a scout."""

from __future__ import annotations

ECHO = """
import sys
sys.stdout.buffer.write(sys.stdin.buffer.readline())
sys.stdout.flush()
sys.stdin.buffer.read()
"""
"""Prints the orders that it is given, and ends at the end of its standard input."""
