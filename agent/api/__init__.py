"""Version 1 of the API: one schema for HTTP and ``--json``, and what is kept while it is used."""
