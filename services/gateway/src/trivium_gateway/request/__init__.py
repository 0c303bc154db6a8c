"""One request on its way: its time, its record, its admission, what is counted."""

__all__: list[str] = []
