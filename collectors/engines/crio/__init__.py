"""CRI-O: a Kubernetes node's containers, from its part of the containers/storage store."""
