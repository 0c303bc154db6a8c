"""The embedded stand-in for a Qdrant server: the part of Qdrant's gRPC API that Trivium uses, over Qdrant's own engine
as a library, in a process of its own."""

__all__: list[str] = []
