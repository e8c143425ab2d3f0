"""Incus and LXD: monitors, instance directories and the REST API."""
