"""Docker: every daemon on the host, asked through the Engine API or read from disk."""
