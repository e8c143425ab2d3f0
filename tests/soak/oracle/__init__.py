"""Compares, at every moment, what the agent shows with what the engines' own tools say."""
