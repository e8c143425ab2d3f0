"""Serve: the process that answers, and what it needs to be trusted: a launcher, no privileges."""
