"""What judges passages: one module per backend, imported only when it is chosen."""

__all__: list[str] = []
