"""Collections, documents, chunks: what is kept, and how it is searched."""

__all__: list[str] = []
