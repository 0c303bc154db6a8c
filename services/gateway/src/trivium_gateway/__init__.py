"""Trivium: retrieval, orchestration, ingestion, and the HTTP and gRPC surfaces."""

__all__: list[str] = []
