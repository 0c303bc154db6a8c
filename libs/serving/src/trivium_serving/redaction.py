"""Keeps secrets out of what is written down, wherever the text comes from: our own words, or an upstream's."""

from __future__ import annotations

import re

_MASK = "***"
# A shorter one would be found in words that have nothing to do with it.
_SHORTEST = 6

_secrets: set[str] = set()

_CREDENTIALS_IN_ADDRESS = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")
_NAMED = re.compile(
    r"""(?P<name>(?:api[-_]?key|authorization|password|passwd|secret|access[-_]?token)["']?\s*[:=]\s*["']?)"""
    r"""(?P<scheme>(?:bearer|basic|token)\s+)?[^\s"',;&}\])]+""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<scheme>\bbearer\s+)[\w.~+/=-]{8,}", re.IGNORECASE)


def keep_secret(value: str) -> None:
    """Notes a secret that this process holds: from now on `redacted` removes it."""
    if len(value) >= _SHORTEST:
        _secrets.add(value)


def redacted(text: str) -> str:
    """A text without secrets: those that the process holds, credentials in addresses, and what is named as a key."""
    for secret in _secrets:
        text = text.replace(secret, _MASK)
    if "@" in text:
        text = _CREDENTIALS_IN_ADDRESS.sub(f"{_MASK}@", text)
    text = _NAMED.sub(lambda found: f"{found['name']}{found['scheme'] or ''}{_MASK}", text)
    return _BEARER.sub(lambda found: f"{found['scheme']}{_MASK}", text)
