"""Between Qdrant's protobuf messages and the engine's objects. Nothing else knows either side's counterpart."""

__all__: list[str] = []
