"""What the kernel says: processes, namespaces, cgroups, networks, root filesystems."""
