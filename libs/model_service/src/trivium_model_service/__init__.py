"""What the services around a model share, whatever the model does.

Import from the modules; the package itself exports nothing.
"""

__all__: list[str] = []
