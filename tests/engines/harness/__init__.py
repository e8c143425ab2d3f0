"""Starts real container engines for the tests, and removes everything that it started."""
