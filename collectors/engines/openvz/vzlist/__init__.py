"""vzlist, OpenVZ's own program: running it, and reading every format it prints."""
