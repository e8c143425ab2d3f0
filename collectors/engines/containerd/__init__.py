"""containerd: bundles and metadata databases of every containerd on the host."""
