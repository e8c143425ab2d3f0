"""Write the dashboards' JSON and Grafana's alert rules: ``python -m dashboards.build``.

With ``--check`` it compares only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dashboards import alerting
from dashboards.boards import BOARDS

if TYPE_CHECKING:
    from dashboards.layout import Board

TARGET = Path(__file__).parent / "json"


def path_of(board: Board) -> Path:
    """Return the file in which a dashboard is committed."""
    return TARGET / f"{board.uid}.json"


def main() -> int:
    """Build all, and write or compare."""
    parser = argparse.ArgumentParser(prog="dashboards.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check = parser.parse_args().check
    stale = []
    made = {path_of(board): board.json() for board in BOARDS} | {alerting.TARGET: alerting.text()}
    for path, text in made.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.name)
        if not check:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        sys.stdout.write(f"{name} {'differs' if check else 'written'}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
