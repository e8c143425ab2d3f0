"""Attacks from inside containers that try to harm the agent, blind it or read through it."""
