"""Physical collections, their aliases and their indexes in Qdrant."""

import asyncio
import contextlib
from dataclasses import dataclass

from trivium_serving.errors import AlreadyExists

from trivium_gateway.domain.indexes import IndexBeside, IndexMaking
from trivium_gateway.domain.metadata import MetadataKind
from trivium_gateway.domain.readers import Reader
from trivium_gateway.domain.settings import SettingsHistory
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.described import (
    BESIDE,
    CHUNKING,
    CONTENTS,
    EMBEDDED_BY,
    GENERATION,
    LANGUAGE,
    LEARNED_BY,
    REPORT,
    RESTRICTED,
    SETTINGS,
    SYSTEM_FIELDS,
    PhysicalCollection,
    described,
)
from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.learned import LEARNED
from trivium_gateway.qdrant.points import (
    BM25,
    DENSE,
    SCHEMA_VERSION,
    coded_condition,
    empty_condition,
    integer_condition,
    metadata_path,
    scoped_filter,
)
from trivium_gateway.qdrant.storing import storage_change
from trivium_gateway.qdrant.values import to_value

__all__ = ["AS_QDRANT_CHOOSES", "Distribution", "PhysicalCollection", "QdrantCollections"]

_TIMEOUT_SECONDS = 30.0
_DIFFERENT_COUNTS = 10_000

_FIELD_TYPES = {
    MetadataKind.TEXT: qdrant.FieldType.FieldTypeKeyword,
    # One index of doubles for all numbers: 2020 and 2020.5 may stand under the same key.
    MetadataKind.NUMBER: qdrant.FieldType.FieldTypeFloat,
    MetadataKind.BOOLEAN: qdrant.FieldType.FieldTypeBool,
    MetadataKind.DATE: qdrant.FieldType.FieldTypeDatetime,
}
_TENANT = qdrant.PayloadIndexParams(keyword_index_params=qdrant.KeywordIndexParams(is_tenant=True))


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a new collection is spread over the nodes of a Qdrant cluster.

    Attributes:
        shard_number: Into how many parts; 0 for Qdrant's own choice.
        replication_factor: How many copies of each part; 0 for Qdrant's own choice.
    """

    shard_number: int = 0
    replication_factor: int = 0


AS_QDRANT_CHOOSES = Distribution()


class QdrantCollections:
    """Creates, describes and deletes physical collections. Every step may be repeated, by any gateway.

    Args:
        connection: To Qdrant.
        distribution: How those that it creates are spread.
    """

    def __init__(self, connection: QdrantConnection, distribution: Distribution = AS_QDRANT_CHOOSES) -> None:
        self._connection = connection
        self._distribution = distribution

    async def create(self, physical: str, made: IndexMaking) -> None:
        """Create a collection with its payload indexes, which must exist before data (HNSW is built around them).

        Args:
            physical: Its name.
            made: What it is made with.
        """
        dense = qdrant.VectorParams(size=made.dimension, distance=qdrant.Distance.Cosine)
        sparse = {BM25: qdrant.SparseVectorParams(modifier=qdrant.Modifier.Idf)}
        sparse |= {LEARNED: qdrant.SparseVectorParams()} if made.learned else {}  # its weights say how rare words are
        facts = {
            "model": made.model,
            "model_fingerprint": made.fingerprint,
            "schema_version": SCHEMA_VERSION,
            "analyzer": made.analyzer,
            GENERATION: made.generation,
            LANGUAGE: made.language,
            CHUNKING: made.chunking,
            LEARNED_BY: made.learned,
        }
        request = qdrant.CreateCollection(
            collection_name=physical,
            vectors_config=qdrant.VectorsConfig(params_map=qdrant.VectorParamsMap(map={DENSE: dense})),
            sparse_vectors_config=qdrant.SparseVectorConfig(map=sparse),
            metadata={key: to_value(value) for key, value in facts.items() if value != ""},
            shard_number=self._distribution.shard_number or None,
            replication_factor=self._distribution.replication_factor or None,
        )
        # It may exist, made by another gateway or by a creation that broke off: the other steps follow all the same.
        with contextlib.suppress(AlreadyExists):
            await self._connection.call(self._connection.collections.Create, request, timeout_seconds=_TIMEOUT_SECONDS)
        await self.index_system_fields(physical)

    async def index_system_fields(self, physical: str) -> None:
        """Make the indexes that a collection lacks because its creation broke off, or an earlier version made it."""
        for field, field_type in SYSTEM_FIELDS.items():
            await self._index(physical, field, field_type, _TENANT if field == "tenant" else None)

    async def index_metadata_key(self, physical: str, key: str, kind: MetadataKind) -> None:
        """Index a metadata key."""
        await self._index(physical, metadata_path(key), _FIELD_TYPES[kind])

    async def describe(self, physical: str) -> PhysicalCollection:
        """Describe a collection.

        Raises:
            NotFound: There is none of this name.
        """
        reply = await self._connection.call(
            self._connection.collections.Get,
            qdrant.GetCollectionInfoRequest(collection_name=physical),
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        return described(reply)

    async def keep_settings(self, physical: str, settings: SettingsHistory) -> None:
        """Keep how a collection is searched and judged in its own record, and its vectors as that says.

        Raises:
            NotFound: There is none of this name.
            FailedPrecondition: Its vectors are to be kept as this Qdrant cannot (ENGINE_CANNOT); nothing is changed.
        """
        before = (await self.describe(physical)).settings.now.settings
        change = storage_change(physical, before, settings.now.settings)
        if change is not None:
            await self._connection.call(self._connection.collections.Update, change, timeout_seconds=_TIMEOUT_SECONDS)
        await self._note(physical, SETTINGS, settings.to_text())

    async def restrict(self, physical: str) -> None:
        """Note that a collection is about to have documents that not everyone of the tenant may read.

        Raises:
            NotFound: There is none of this name.
        """
        await self._note(physical, RESTRICTED, True)

    async def keep_beside(self, physical: str, beside: IndexBeside | None) -> None:
        """Note the other index of a collection in the record of this one; None for none any more.

        Raises:
            NotFound: There is none of this name.
        """
        await self._note(physical, BESIDE, beside.to_text() if beside else "")

    async def keep_embedder(self, physical: str, fingerprint: str) -> None:
        """Note a model that makes the same vectors as the one that a collection was made with."""
        await self._note(physical, EMBEDDED_BY, fingerprint)

    async def keep_report(self, physical: str, report: str) -> None:
        """Note what the comparison of an index with the one before it has shown."""
        await self._note(physical, REPORT, report)

    async def keep_chunking(self, physical: str, chunking: str) -> None:
        """Note how the documents of a collection are cut; see `CollectionSettings.chunking`."""
        await self._note(physical, CHUNKING, chunking)

    async def keep_contents(self, physical: str, mark: str) -> None:
        """Note that what is in a collection changes, or has changed.

        Raises:
            NotFound: There is none of this name.
        """
        await self._note(physical, CONTENTS, mark)

    async def _note(self, physical: str, name: str, value: str | bool) -> None:
        request = qdrant.UpdateCollection(collection_name=physical, metadata={name: to_value(value)})
        await self._connection.call(self._connection.collections.Update, request, timeout_seconds=_TIMEOUT_SECONDS)

    async def count(self, physical: str, reader: Reader) -> int:
        """Count the points that somebody may read, exactly, whether or not their documents were committed."""
        return await self._count(physical, scoped_filter(reader))

    async def count_committed(self, physical: str, reader: Reader) -> int:
        """Count the chunks of the documents that somebody may read by what each chunk 0 says. Needs all indexes.

        Chunks that an earlier version of Trivium wrote, which do not say it, are counted one by one.
        """
        heads = scoped_filter(reader, [integer_condition("chunk_index", 0)])
        request = qdrant.FacetCounts(
            collection_name=physical, key="chunk_count", filter=heads, limit=_DIFFERENT_COUNTS, exact=True
        )
        sizes, earlier = await asyncio.gather(
            self._connection.call(self._connection.points.Facet, request, timeout_seconds=_TIMEOUT_SECONDS),
            self._count(physical, scoped_filter(reader, [empty_condition("chunk_count")])),
        )
        return earlier + sum(int(hit.value.integer_value) * int(hit.count) for hit in sizes.hits)

    async def count_coded(self, physical: str, reader: Reader) -> int:
        """Count the chunks that somebody may read and that have token codes. Needs all indexes."""
        return await self._count(physical, scoped_filter(reader, [coded_condition()]))

    async def _count(self, physical: str, filter_: qdrant.Filter) -> int:
        request = qdrant.CountPoints(collection_name=physical, filter=filter_, exact=True)
        reply = await self._connection.call(self._connection.points.Count, request, timeout_seconds=_TIMEOUT_SECONDS)
        return int(reply.result.count)

    async def delete(self, physical: str) -> bool:
        """Delete a collection. Qdrant deletes its aliases with it.

        Returns:
            Whether Qdrant found it.
        """
        reply = await self._connection.call(
            self._connection.collections.Delete,
            qdrant.DeleteCollection(collection_name=physical),
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        return bool(reply.result)

    async def names(self) -> list[str]:
        """List the names of all physical collections."""
        reply = await self._connection.call(
            self._connection.collections.List, qdrant.ListCollectionsRequest(), timeout_seconds=_TIMEOUT_SECONDS
        )
        return [description.name for description in reply.collections]

    async def aliases(self) -> dict[str, str]:
        """List all aliases, and the physical collections behind them."""
        reply = await self._connection.call(
            self._connection.collections.ListAliases, qdrant.ListAliasesRequest(), timeout_seconds=_TIMEOUT_SECONDS
        )
        return {description.alias_name: description.collection_name for description in reply.aliases}

    async def point_alias(self, alias: str, physical: str) -> None:
        """Make an alias name a physical collection."""
        action = qdrant.AliasOperations(create_alias=qdrant.CreateAlias(alias_name=alias, collection_name=physical))
        await self._connection.call(
            self._connection.collections.UpdateAliases,
            qdrant.ChangeAliases(actions=[action]),
            timeout_seconds=_TIMEOUT_SECONDS,
        )

    async def _index(
        self,
        physical: str,
        path: str,
        field_type: qdrant.FieldType.ValueType,
        params: qdrant.PayloadIndexParams | None = None,
    ) -> None:
        request = qdrant.CreateFieldIndexCollection(
            collection_name=physical, wait=True, field_name=path, field_type=field_type, field_index_params=params
        )
        await self._connection.call(self._connection.points.CreateFieldIndex, request, timeout_seconds=_TIMEOUT_SECONDS)
