"""The ids of points: of a document's chunks, the same whoever makes them."""

import hashlib
import uuid

__all__ = ["earlier_head_id", "head_id", "point_id"]

_NAMESPACE = uuid.UUID("6f1c3c52-5b0e-5d0b-9a52-1f6d0c8a7f11")


def point_id(tenant: str, document_id: str, index: int, version: str) -> str:
    """Give the id of a chunk's point.

    Chunk 0 has the same id in all versions of its document: writing it replaces that of the version before, at once.
    """
    return _id_of(tenant, document_id, str(index), version) if index else head_id(tenant, document_id)


def head_id(tenant: str, document_id: str) -> str:
    """Give the id of a document's chunk 0."""
    return _id_of(tenant, document_id)


def earlier_head_id(tenant: str, document_id: str, version: str) -> str:
    """Give the id of a version's chunk 0 as earlier versions of Trivium wrote it: one for each version."""
    return _id_of(tenant, document_id, "0", version)


def _id_of(*parts: str) -> str:
    """The UUID of version 5 of some parts, in half the time that `uuid.uuid5` takes: a search needs a hundred."""
    name = "\x1f".join(parts)  # which neither an id nor a tenant may have
    digest = bytearray(hashlib.sha1(_NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
