"""Files of many formats to Markdown: which one a file has, and a reader for each."""

__all__: list[str] = []
