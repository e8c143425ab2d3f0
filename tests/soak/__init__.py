"""Minutes or hours of churn and faults, and what becomes of the agent in them."""
