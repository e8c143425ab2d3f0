"""A folder for PYTHONPATH: Python then has a wall clock that a test can set."""
