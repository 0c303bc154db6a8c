"""Calls of other people's model APIs: budgets, retries, errors, and estimates of tokens.

Import from the modules; the package itself exports nothing.
"""

__all__: list[str] = []
