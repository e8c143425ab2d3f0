"""Starts real container engines for the tests, and takes away all that it started."""
