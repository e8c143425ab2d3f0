"""A made-up fleet with six hours of history, so that the dashboards can be looked at."""
