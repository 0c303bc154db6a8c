"""The ways in: gRPC and HTTP. They convert, and decide nothing."""

__all__: list[str] = []
