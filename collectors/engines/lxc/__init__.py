"""LXC: monitor processes and configuration files."""
