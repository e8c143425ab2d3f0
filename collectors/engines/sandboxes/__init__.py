"""Sandboxes and small container tools: bubblewrap, flatpak, apptainer and others."""
