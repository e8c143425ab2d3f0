"""Formats that engines and kernels write: bytes or text in, values out; no access to the host."""
