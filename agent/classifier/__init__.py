"""The verdict: app-style or system-style, the evidence for it, and findings. Pure functions."""

from agent.classifier.convention import expected_style
from agent.classifier.findings import CATALOGUE, FindingKind, findings
from agent.classifier.hysteresis import HeldVerdict, hold
from agent.classifier.judge import SURE, classify, is_mismatch
from agent.classifier.scene_reader import read_scene
from agent.classifier.table import RULES

__all__ = [
    "CATALOGUE",
    "RULES",
    "SURE",
    "FindingKind",
    "HeldVerdict",
    "classify",
    "expected_style",
    "findings",
    "hold",
    "is_mismatch",
    "read_scene",
]
