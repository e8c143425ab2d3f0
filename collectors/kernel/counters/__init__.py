"""What the kernel counts of containers, read when Prometheus scrapes."""
