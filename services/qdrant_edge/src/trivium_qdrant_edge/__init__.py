"""Trivium: the embedded stand-in for the Qdrant container."""
