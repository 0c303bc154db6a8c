"""Qdrant, as the gateway calls it. Only here are its types known."""

__all__: list[str] = []
