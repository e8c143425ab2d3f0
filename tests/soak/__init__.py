"""Runs the agent through minutes or hours of churn and faults."""
