"""Shows at the end of a test run how the classifier did on the corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.corpus import report

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print accuracy, confusion table and calibration, when the corpus was judged."""
    if report.JUDGED:
        terminalreporter.section("corpus of captured containers")
        for line in report.lines(report.JUDGED):
            terminalreporter.write_line(line)
