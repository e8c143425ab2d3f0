"""runc, crun and youki: the state directories of OCI runtimes."""
