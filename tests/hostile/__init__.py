"""Strangers inside containers who want to harm the agent, blind it or read through it."""
