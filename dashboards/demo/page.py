"""A page of samples that holds to the catalogue: names and labels as the agent's own."""

from __future__ import annotations

from functools import lru_cache

from agent.metrics import BY_NAME

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Page:
    """The samples of one host at one moment."""

    def __init__(self) -> None:
        self.samples: list[tuple[str, str, float]] = []
        """Name, label text without braces, value."""

    def add(self, name: str, value: float | None, /, **labels: str) -> None:
        """Add a sample; None is absent, and so is an empty label."""
        if value is not None:
            self.samples.append((name, _label_text(name, tuple(labels.items())), value))

    def text(self) -> str:
        """Return it in Prometheus's text format, untyped."""
        return "".join(f"{name}{{{labels}}} {value:.15g}\n" for name, labels, value in self.samples)


@lru_cache(maxsize=20_000)
def _label_text(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    declared = BY_NAME[name].labels
    unknown = [label for label, _ in labels if label not in declared]
    if unknown:
        raise KeyError(f"{name} has no label {unknown[0]}")
    return ",".join(f'{label}="{value.translate(_ESCAPES)}"' for label, value in labels if value)
