"""Coverage-guided fuzzing of what reads strangers' bytes, with atheris (libFuzzer)."""
