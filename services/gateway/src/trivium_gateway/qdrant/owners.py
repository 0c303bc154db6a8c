"""How a chunk's payload says whose it is, and who may read it: both in its field `tenant`."""

from typing import Any

from trivium_gateway.domain.readers import EVERYONE, NOBODY, Reader, Readers
from trivium_gateway.qdrant.values import to_value

__all__ = ["owners", "owners_payload", "owners_read_by", "readers_of"]

_RESTRICTED = "/restricted"
"""Behind the tenant's name: a chunk that not everyone of the tenant may read."""


def owners(tenant: str, readers: Readers) -> str | list[str]:
    """Give what a chunk has in its field.

    What is restricted is not the tenant's as such, so that whoever knows of no readers finds nothing of it.
    """
    if readers is None:
        return tenant
    return [tenant + _RESTRICTED, *(f"{tenant}/{one}" for one in sorted(readers))]


def owners_payload(tenant: str, readers: Readers) -> dict[str, Any]:
    """Make the part of a payload that says so."""
    return {"tenant": to_value(owners(tenant, readers))}


def readers_of(found: str | list[str] | None) -> Readers:
    """Read who may read a chunk; nobody, if the field was not asked for."""
    if isinstance(found, str):
        return EVERYONE
    return frozenset(one.partition("/")[2] for one in found[1:]) if found else NOBODY


def owners_read_by(reader: Reader) -> list[str]:
    """Give the values of which a chunk has one, if a reader may read it."""
    restricted = [_RESTRICTED] if reader.names is None else [f"/{one}" for one in sorted(reader.names)]
    return [reader.tenant, *(reader.tenant + one for one in restricted)]
