"""Trivium: the reranking service."""
