"""How long a document's text is, as its chunk 0 says it.

In two digits: each has an index and few values, so that a count by value, of which Qdrant gives some thousand, sums
them up exactly, however many documents there are.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["BASE", "HIGH", "LOW", "text_bytes_of", "text_bytes_payload"]

HIGH, LOW = "text_bytes_high", "text_bytes_low"
BASE = 8192


def text_bytes_payload(text_bytes: int) -> dict[str, int]:
    """Make the part of a payload that keeps it; nothing if it is 0."""
    return dict(zip((HIGH, LOW), divmod(text_bytes, BASE), strict=True)) if text_bytes else {}


def text_bytes_of(fields: Mapping[str, Any]) -> int:
    """Read it from a payload; 0 if that does not say it."""
    return int(fields.get(HIGH, 0) * BASE + fields.get(LOW, 0))
