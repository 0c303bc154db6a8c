"""Trivium: the answer writing service."""
