"""Finds the settings by which a collection is searched and judged best."""
