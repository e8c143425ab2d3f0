"""What an operator may choose of the page."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.metrics import BY_NAME, DEFAULT_GROUPS

_CADVISOR_PREFIXES = ("container_", "machine_", "cadvisor_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the page holds."""

    groups: frozenset[str] = DEFAULT_GROUPS
    """Names of ``agent.metrics.GROUPS`` that are on."""
    cadvisor_names: bool = True
    """Without them a kubelet or a cAdvisor on the same host serves ``container_*``."""
    container_labels: tuple[str, ...] = ()
    """Labels of containers that become ``container_label_<name>`` on each ``container_*``."""
    max_series: int = 500_000
    retention: float = 300.0
    """Seconds for which ``container_last_seen`` of a stopped container stays."""
    _names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        shown = frozenset(
            name
            for name, metric in BY_NAME.items()
            if metric.group in self.groups
            and (self.cadvisor_names or not name.startswith(_CADVISOR_PREFIXES))
        )
        object.__setattr__(self, "_names", shown)

    def shows(self, name: str) -> bool:
        """Return whether a metric is on the page."""
        return name in self._names
