"""The three model services, as the gateway calls them. Only here are their stubs known."""

__all__: list[str] = []
