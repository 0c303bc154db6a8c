"""The words that everything else speaks in. No input or output."""

__all__: list[str] = []
