"""From a question to its answer."""

__all__: list[str] = []
