"""Fuzzes one target in this process: ``python -m tests.fuzz.one NAME CORPUS [FLAG ...]``."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["collectors", "agent"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    name, *flags = sys.argv[1:]
    atheris.Setup([sys.argv[0], *flags], TARGETS[name])
    atheris.Fuzz()
