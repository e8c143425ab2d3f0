"""Collectors read the host and say what they saw, as frozen facts; they judge nothing."""
