"""Remembers results: what a cache is, where it is kept, and how results become bytes."""
