"""Trivium: the embedding service."""
