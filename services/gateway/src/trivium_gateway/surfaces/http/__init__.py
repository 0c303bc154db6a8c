"""The gateway's HTTP surface: routes, errors, events, and nothing that decides."""

__all__: list[str] = []
