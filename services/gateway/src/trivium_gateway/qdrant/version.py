"""Which versions of Qdrant do: an older one ignores, without a word, what it does not know."""

import re

from trivium_serving.errors import Unavailable

__all__ = ["LEAST_VERSION", "is_too_old", "too_old"]

LEAST_VERSION = (1, 19)
"""The first that counts how rare words are among a tenant's own chunks (IdfParams)."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)")


def is_too_old(version: str) -> bool:
    """Whether a server of this version would answer wrongly. One whose version cannot be read is taken as it is."""
    found = _VERSION.match(version)
    return found is not None and (int(found[1]), int(found[2])) < LEAST_VERSION


def too_old(version: str) -> Unavailable:
    """The error for a server that is too old.

    Args:
        version: Its version; empty to leave it out.
    """
    least = ".".join(map(str, LEAST_VERSION))
    return Unavailable(
        f"Qdrant {version or 'now'} is older than {least}: it would let tenants bend each other's scores. "
        f"Update the server to {least} or later; its data stays.",
        reason="QDRANT_TOO_OLD",
    )
