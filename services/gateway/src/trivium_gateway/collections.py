"""Collections: a name that people use, in front of a physical collection that belongs to one embedding model."""

from collections.abc import Mapping
from dataclasses import dataclass

from trivium_gateway.filters import Filter
from trivium_gateway.metadata import JsonValue, MetadataKind

__all__ = ["DEFAULT_COLLECTION", "CollectionDescription", "Collections", "ResolvedCollection"]

DEFAULT_COLLECTION = "default"
"""The collection of requests that name none. It is created on first use."""


@dataclass(frozen=True, slots=True)
class ResolvedCollection:
    """Where a collection's data is, and which model's vectors are in it.

    Attributes:
        name: The name that people use.
        physical: The name of the collection in Qdrant, `<name>__<first 12 characters of the fingerprint>`.
        model: Name of the embedding model.
        model_fingerprint: Its fingerprint; pass it to `EmbedClient.embed_query`, which refuses any other model.
        dimension: Numbers per vector.
    """

    name: str
    physical: str
    model: str
    model_fingerprint: str
    dimension: int


@dataclass(frozen=True, slots=True)
class CollectionDescription:
    """A collection as people see it.

    Attributes:
        name: Its name.
        chunk_count: Number of pieces of documents in it.
        model: Name of the embedding model whose vectors it holds.
        model_fingerprint: That model's fingerprint.
        dimension: Numbers per vector.
        metadata_keys: Keys that can be filtered by, and what their values are; in the order of their names.
    """

    name: str
    chunk_count: int
    model: str
    model_fingerprint: str
    dimension: int
    metadata_keys: Mapping[str, MetadataKind]


class Collections:
    """Creates, finds, describes and deletes collections."""

    async def create(self, name: str, *, tenant: str = "default") -> CollectionDescription:
        """Create a collection for the vectors of the model that the embed service runs.

        Raises:
            InvalidField: The name is not 1 to 64 letters, digits, `-` and `_`, or does not begin with a letter or digit.
            AlreadyExists: There is one of this name.
            Unavailable: The embed service or Qdrant cannot be reached.
        """
        raise NotImplementedError

    async def get(self, name: str, *, tenant: str = "default") -> CollectionDescription:
        """Describe a collection.

        Raises:
            NotFound: There is none of this name (`default` is created).
        """
        raise NotImplementedError

    async def list(self, *, tenant: str = "default") -> list[CollectionDescription]:
        """Describe all collections, in the order of their names."""
        raise NotImplementedError

    async def delete(self, name: str) -> None:
        """Delete a collection and everything in it.

        Raises:
            NotFound: There is none of this name.
        """
        raise NotImplementedError

    async def resolve(self, name: str) -> ResolvedCollection:
        """Find a collection for a request. Cheap: answers are remembered for a few seconds.

        Args:
            name: Its name; empty for `default`, which is created on first use.

        Raises:
            NotFound: There is none of this name.
            Unavailable: Qdrant cannot be reached; or, to create `default`, the embed service.
        """
        raise NotImplementedError

    async def find(self, name: str) -> ResolvedCollection | None:
        """Find a collection for a request that only reads. As cheap as `resolve`, and works without the embed service.

        Args:
            name: Its name; empty for `default`.

        Returns:
            The collection; None for `default` if that was not written to yet, which then is as good as empty.

        Raises:
            NotFound: There is none of this name.
            Unavailable: Qdrant cannot be reached.
        """
        raise NotImplementedError

    async def parse_filter(self, collection: ResolvedCollection, filter_json: Mapping[str, JsonValue]) -> Filter | None:
        """Check the filter of a request against the keys that the collection has now.

        Returns:
            The filter, or None if it has no condition.

        Raises:
            InvalidField: See `trivium_gateway.filters.parse_filter`.
        """
        raise NotImplementedError
