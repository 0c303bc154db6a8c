"""What is said to a language model and what it may do: turns, tools and sampling, with the limits of each.

Import from the modules; the package itself exports nothing.
"""

__all__: list[str] = []
