"""Who is on the host: processes and sightings become containers, each once, with a stable id."""
