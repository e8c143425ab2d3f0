"""The scout: the process that looks at the host, and tells serve what changed."""
