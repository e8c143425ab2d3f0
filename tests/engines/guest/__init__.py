"""What runs inside the cgroup v2 guest: standard library and the harness only, no pytest."""
