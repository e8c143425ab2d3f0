"""The agent: merges what the collectors saw, judges it, shows it to Prometheus and people."""

__version__ = "0.1.0"
