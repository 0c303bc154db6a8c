"""From files to searchable chunks: parse, cut, embed, write."""

__all__: list[str] = []
