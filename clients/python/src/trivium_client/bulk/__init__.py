"""Sends more documents than one machine reads: in parts, by the workers of a Ray cluster.

A worker reads a part and sends it to a gateway, as any client does, so that what a document's id, pieces, vectors and
version are is decided where it always is. Ray is imported where it is asked for, and nowhere else.
"""

from trivium_client.bulk.parts import Part, parts_of
from trivium_client.bulk.running import BulkReport, Workers, ingest_parts

__all__ = ["BulkReport", "Part", "Workers", "ingest_parts", "parts_of"]
