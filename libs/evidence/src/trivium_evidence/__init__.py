"""What passages state: their sentences, the words in these, and how surely a text rests on them."""

__all__: list[str] = []
