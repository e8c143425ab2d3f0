"""The scout: the process that looks at the host and sends serve what changed."""
