"""Podman: root's and every user's store, read from disk; no podman is ever started."""
