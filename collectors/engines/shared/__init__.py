"""What several engines' collectors need of the host: their processes, their files, users' homes."""
