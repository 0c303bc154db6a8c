"""Trivium: retrieval, orchestration, ingestion, and the HTTP and gRPC surfaces."""
