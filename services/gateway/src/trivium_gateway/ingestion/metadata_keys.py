"""Sees to it that each metadata key is indexed before data that has it, and has one kind in all documents."""

from collections.abc import Sequence
from dataclasses import replace

from trivium_serving.errors import InvalidField, TooLarge, TriviumError

from trivium_gateway.domain.dates import HOW_DATES_ARE_WRITTEN
from trivium_gateway.domain.metadata import MetadataKind, flat_metadata, kind_of
from trivium_gateway.ingestion.incoming import Incoming
from trivium_gateway.ingestion.patience import patiently
from trivium_gateway.ingestion.preparation import PreparedDocument
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.resolved import ResolvedCollection

__all__ = ["index_metadata_keys"]


async def index_metadata_keys(
    collections: Collections, collection: ResolvedCollection, documents: Sequence[Incoming]
) -> None:
    """Index the keys of documents that the collection does not have yet.

    A document fails if a key of it has another kind in the collection (METADATA_TYPE_CONFLICT), or if there is no room
    for it (TOO_MANY_METADATA_KEYS); but what a document states about itself is left out then.

    Args:
        collections: Knows the collection's keys, and indexes others.
        collection: Where the documents go.
        documents: Those that are prepared count; takes note of errors.

    Raises:
        TriviumError: Qdrant cannot be asked.
    """
    kinds_of = {one.id: _kinds_of(one.prepared) for one in documents if one.prepared is not None}
    known = await patiently(lambda: collections.metadata_kinds(collection))
    wanted: dict[str, MetadataKind] = {}
    for kinds in kinds_of.values():
        for key, kind in kinds.items():
            if not _takes(known.get(key), kind) and (key not in wanted or kind.takes(wanted[key])):
                wanted[key] = kind
    if wanted:
        known = await patiently(lambda: collections.index_keys(collection, wanted))
    for one in documents:
        for key, kind in kinds_of.get(one.id, {}).items():
            if not _takes(known.get(key), kind):
                _refuse(one, key, _kind_error(key, kind, known.get(key)))


def _kinds_of(prepared: PreparedDocument) -> dict[str, MetadataKind]:
    kinds = ((key, kind_of(value)) for key, value in flat_metadata(prepared.metadata).items())
    return {key: kind for key, kind in kinds if kind is not None}


def _takes(known: MetadataKind | None, kind: MetadataKind) -> bool:
    return known is not None and known.takes(kind)


def _refuse(incoming: Incoming, key: str, error: TriviumError) -> None:
    """Leave out a fact that a document states about itself; what its sender says of it is an error."""
    if incoming.prepared is None or key not in incoming.prepared.own_keys:
        incoming.error = error
        return
    kept = {name: value for name, value in incoming.prepared.metadata.items() if name != key}
    incoming.prepared = replace(incoming.prepared, metadata=kept)


def _kind_error(key: str, kind: MetadataKind, known: MetadataKind | None) -> TriviumError:
    field = f"metadata.{key}"
    if known is None:
        return TooLarge(
            f"The collection has as many metadata keys as it may have, and {key!r} is not one of them.",
            reason="TOO_MANY_METADATA_KEYS",
            field=field,
        )
    how = f"write it as {HOW_DATES_ARE_WRITTEN}" if known is MetadataKind.DATE else "convert the value"
    return InvalidField(
        field,
        f"{field} is of kind {kind.value} here, and of kind {known.value} in this collection. A key has one kind in "
        f"all documents of a collection: {how}, or use another key.",
        reason="METADATA_TYPE_CONFLICT",
    )
