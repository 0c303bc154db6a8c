"""What can be used now."""

__all__: list[str] = []
