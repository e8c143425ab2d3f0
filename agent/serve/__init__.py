"""Serve: the process that answers requests, without privileges, and the launcher that has them."""
