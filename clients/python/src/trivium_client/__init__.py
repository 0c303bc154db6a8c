"""Trivium: Python SDK and command line."""
