"""One module an engine: what can be done with its containers, and what its own tool says."""
