"""OpenVZ 6, and OpenVZ and Virtuozzo 7 and 9: vzlist, and the kernel's own files without it."""
