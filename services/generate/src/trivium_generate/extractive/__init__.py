"""Answers without a language model: the sentences of the passages that answer the question best."""

__all__: list[str] = []
