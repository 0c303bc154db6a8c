"""Language models behind one contract, one module each; a module imports what it needs only when it is chosen."""

__all__: list[str] = []
