"""The two text formats of Prometheus: what they have in common, and how they differ.

Text: https://prometheus.io/docs/instrumenting/exposition_formats/ (0.0.4). OpenMetrics:
https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md. Sample lines
are the same in both, so they are rendered once; comments and the last line are not.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

from agent import sanitize
from agent.metrics import Metric, Type

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


def label_value(text: str) -> str:
    """Write untrusted text as the inside of a label's quotes.

    Unprintable characters become visible escapes, and it is cut at ``sanitize.LIMIT``.
    """
    return sanitize.printable(text).translate(_ESCAPES)


def identity(text: str) -> str:
    """Write a label that tells series apart, with a hash where ``label_value`` would lose text."""
    shown = sanitize.printable(text)
    if shown != text:
        raw = text.encode("utf-8", "surrogatepass")
        shown = f"{shown}~{hashlib.sha256(raw).hexdigest()[:8]}"
    return shown.translate(_ESCAPES)


def pairs(labels: Iterable[tuple[str, str]]) -> str:
    """Write ``a="x",b="y"`` of names and values, without those that are empty."""
    return ",".join(f'{name}="{label_value(value)}"' for name, value in labels if value)


def braces(labels: str) -> bytes:
    """Return the part of a sample between its name and its value, of labels as ``pairs`` writes."""
    return f"{{{labels}}} ".encode() if labels else b" "


def number(value: float) -> bytes:
    """Write a value: whole numbers exactly, others in the shortest form that reads back."""
    if isinstance(value, int):
        return b"%d" % value
    if math.isinf(value):
        return b"+Inf" if value > 0 else b"-Inf"
    if math.isnan(value):
        return b"NaN"
    return b"%d" % int(value) if value.is_integer() and abs(value) < 1e15 else b"%r" % value


def header(metric: Metric, *, openmetrics: bool) -> bytes:
    """Write the comments in front of a family's samples, without the last newline."""
    if not openmetrics:
        kind = {Type.INFO: "gauge", Type.UNKNOWN: "untyped"}.get(metric.type, metric.type.value)
        text = metric.help.translate(_HELP_ESCAPES)
        return f"# HELP {metric.name} {text}\n# TYPE {metric.name} {kind}".encode()
    name = metric.family
    text = metric.help.translate(_ESCAPES)
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {metric.type.value}"]
    if metric.unit and name.endswith(f"_{metric.unit}"):
        # The format requires a name that ends in its unit; some of cAdvisor's do not.
        lines.append(f"# UNIT {name} {metric.unit}")
    return "\n".join(lines).encode()
