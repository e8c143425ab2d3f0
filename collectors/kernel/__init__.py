"""What the kernel shows: processes, namespaces, cgroups, networks, root filesystems."""
