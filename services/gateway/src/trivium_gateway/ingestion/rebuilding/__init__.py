"""Gives collections another embedding model while they answer."""
