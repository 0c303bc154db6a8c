"""The gRPC surface."""

__all__: list[str] = []
