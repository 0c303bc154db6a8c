"""Moves all that is in one Qdrant to another: a server, or the embedded engine."""
