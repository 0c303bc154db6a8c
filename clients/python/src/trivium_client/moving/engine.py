"""A Qdrant as a move sees it: its collections with all they are made of, their points, and its aliases."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import grpc

from trivium_client._errors import FailedPrecondition, InvalidRequest, TriviumError, Unavailable
from trivium_client._tls import channel_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qdrant_client import grpc as qdrant

__all__ = ["Engine", "library"]

_Answer = TypeVar("_Answer")

_DEFAULT_PORT = 6334
_TIMEOUT_SECONDS = 120.0
_AWAY_SECONDS = 300.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.compression_enabled_algorithms_bitset", 1),  # a server would compress all of it
)
_FIELD_TYPES = {
    "Keyword": "FieldTypeKeyword",
    "Integer": "FieldTypeInteger",
    "Float": "FieldTypeFloat",
    "Geo": "FieldTypeGeo",
    "Text": "FieldTypeText",
    "Bool": "FieldTypeBool",
    "Datetime": "FieldTypeDatetime",
    "Uuid": "FieldTypeUuid",
}


def _credentials() -> grpc.ChannelCredentials:
    return channel_credentials(None, None, None) or grpc.ssl_channel_credentials()


def library() -> Any:
    """Qdrant's messages and stubs.

    Raises:
        InvalidRequest: The package that has them is not there (EXTRA_MISSING).
    """
    try:
        from qdrant_client import grpc as generated
    except ImportError:
        raise InvalidRequest(
            "moving needs the package qdrant-client: pip install 'trivium-client[move]'", reason="EXTRA_MISSING"
        ) from None
    return generated


class Engine:
    """One Qdrant, which may go away for some minutes.

    Args:
        url: Where it takes gRPC: `http://HOST:PORT`, or `https://` for TLS; the port is 6334 unless it is given.
        api_key: Its API key; empty for none.

    Raises:
        InvalidRequest: The url is none, or the package that speaks to it is not there (EXTRA_MISSING).
    """

    def __init__(self, url: str, api_key: str = "") -> None:
        self._qdrant = library()
        parts = urlsplit(url)
        try:
            port = parts.port or _DEFAULT_PORT
        except ValueError:
            port = 0
        if parts.scheme not in ("http", "https") or not parts.hostname or not port:
            raise InvalidRequest(
                f"{url!r} is no address: write http://HOST:PORT, where it takes gRPC, or FILE.snapshot", field="url"
            )
        self.url = url
        target = f"[{parts.hostname}]:{port}" if ":" in parts.hostname else f"{parts.hostname}:{port}"
        self._channel = (
            grpc.secure_channel(target, _credentials(), options=_OPTIONS)
            if parts.scheme == "https"
            else grpc.insecure_channel(target, options=_OPTIONS)
        )
        self._metadata = (("api-key", api_key),) if api_key else ()
        self._points = self._qdrant.PointsStub(self._channel)
        self._collections = self._qdrant.CollectionsStub(self._channel)
        self._reached = False

    def names(self) -> list[str]:
        """The names of its collections, in their order."""
        reply = self._call(self._collections.List, self._qdrant.ListCollectionsRequest())
        return sorted(one.name for one in reply.collections)

    def aliases(self) -> dict[str, str]:
        """Its aliases, and what they stand for."""
        reply = self._call(self._collections.ListAliases, self._qdrant.ListAliasesRequest())
        return {one.alias_name: one.collection_name for one in reply.aliases}

    def describe(self, name: str) -> qdrant.CollectionInfo:
        """What a collection is made of."""
        request = self._qdrant.GetCollectionInfoRequest(collection_name=name)
        info: qdrant.CollectionInfo = self._call(self._collections.Get, request).result
        return info

    def count(self, name: str) -> int:
        """How many points a collection has, exactly."""
        reply = self._call(self._points.Count, self._qdrant.CountPoints(collection_name=name, exact=True))
        return int(reply.result.count)

    def page(self, name: str, offset: Any, limit: int) -> tuple[Sequence[qdrant.RetrievedPoint], Any]:
        """Some points with all they have, in the order of their ids; and where the next page is, None at the end."""
        request = self._qdrant.ScrollPoints(
            collection_name=name,
            limit=limit,
            offset=offset,
            with_payload=self._qdrant.WithPayloadSelector(enable=True),
            with_vectors=self._qdrant.WithVectorsSelector(enable=True),
        )
        reply = self._call(self._points.Scroll, request)
        return reply.result, reply.next_page_offset if reply.HasField("next_page_offset") else None

    def find(self, name: str, ids: Sequence[qdrant.PointId]) -> Sequence[qdrant.RetrievedPoint]:
        """Some points by their ids, with all they have; those that are not there are missing."""
        request = self._qdrant.GetPoints(
            collection_name=name,
            ids=ids,
            with_payload=self._qdrant.WithPayloadSelector(enable=True),
            with_vectors=self._qdrant.WithVectorsSelector(enable=True),
        )
        found: Sequence[qdrant.RetrievedPoint] = self._call(self._points.Get, request).result
        return found

    def write(self, name: str, points: Sequence[qdrant.RetrievedPoint]) -> None:
        """Writes points as another Qdrant gave them; they are durable when this returns."""
        request = self._qdrant.UpsertPoints(collection_name=name, wait=True, points=map(self._point, points))
        self._call(self._points.Upsert, request)

    def make(self, name: str, info: qdrant.CollectionInfo) -> tuple[str, ...]:
        """Makes a collection like another Qdrant's, with the indexes of its payload, as far as it is not there.

        Returns:
            What this Qdrant cannot do and the other does, in words.
        """
        left_out: tuple[str, ...] = ()
        if name not in self.names():
            params, config = info.config.params, info.config
            request = self._qdrant.CreateCollection(
                collection_name=name,
                vectors_config=params.vectors_config if params.HasField("vectors_config") else None,
                sparse_vectors_config=params.sparse_vectors_config
                if params.HasField("sparse_vectors_config")
                else None,
                on_disk_payload=params.on_disk_payload,
                metadata=dict(config.metadata),
            )
            if config.HasField("quantization_config"):
                request.quantization_config.CopyFrom(config.quantization_config)
            try:
                self._call(self._collections.Create, request)
            except InvalidRequest as error:
                if not request.HasField("quantization_config") or error.reason != "UNIMPLEMENTED":
                    raise
                request.ClearField("quantization_config")
                self._call(self._collections.Create, request)
                left_out = ("quantisation",)
        have = self.describe(name).payload_schema
        for field, index in sorted(info.payload_schema.items()):
            if field not in have:
                kind = _FIELD_TYPES[self._qdrant.PayloadSchemaType.Name(index.data_type)]
                created = self._qdrant.CreateFieldIndexCollection(
                    collection_name=name,
                    wait=True,
                    field_name=field,
                    field_type=getattr(self._qdrant.FieldType, kind),
                    field_index_params=index.params if index.HasField("params") else None,
                )
                self._call(self._points.CreateFieldIndex, created)
        return left_out

    def note(self, name: str, metadata: Any) -> None:
        """Gives a collection the metadata of another Qdrant's."""
        request = self._qdrant.UpdateCollection(collection_name=name, metadata=dict(metadata))
        self._call(self._collections.Update, request)

    def alias(self, alias: str, name: str) -> None:
        """Has an alias stand for a collection."""
        made = self._qdrant.CreateAlias(alias_name=alias, collection_name=name)
        actions = [self._qdrant.AliasOperations(create_alias=made)]
        self._call(self._collections.UpdateAliases, self._qdrant.ChangeAliases(actions=actions))

    def end(self) -> None:
        """Nothing is left to do: what was written is durable."""

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def _point(self, point: qdrant.RetrievedPoint) -> Any:
        kind = point.vectors.WhichOneof("vectors_options")
        vectors = self._qdrant.Vectors()
        if kind == "vector":
            vectors.vector.CopyFrom(self._vector(point.vectors.vector))
        elif kind == "vectors":
            for name, vector in point.vectors.vectors.vectors.items():
                vectors.vectors.vectors[name].CopyFrom(self._vector(vector))
        return self._qdrant.PointStruct(id=point.id, payload=point.payload, vectors=vectors)

    def _vector(self, vector: qdrant.VectorOutput) -> Any:
        kind = vector.WhichOneof("vector")
        if kind == "sparse":
            sparse = self._qdrant.SparseVector(values=vector.sparse.values, indices=vector.sparse.indices)
            return self._qdrant.Vector(sparse=sparse)
        if kind == "multi_dense":
            rows = [self._qdrant.DenseVector(data=one.data) for one in vector.multi_dense.vectors]
            return self._qdrant.Vector(multi_dense=self._qdrant.MultiDenseVector(vectors=rows))
        if kind is None and vector.HasField("indices"):  # as versions before 1.16 give a sparse one
            sparse = self._qdrant.SparseVector(values=vector.data, indices=vector.indices.data)
            return self._qdrant.Vector(sparse=sparse)
        return self._qdrant.Vector(dense=self._qdrant.DenseVector(data=vector.dense.data or vector.data))

    def _call(self, method: Callable[..., _Answer], request: Any) -> _Answer:
        """Makes a call, again while the engine is away, as while it restarts: each may be repeated."""
        give_up = time.monotonic() + _AWAY_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = method(request, timeout=_TIMEOUT_SECONDS, metadata=self._metadata)
            except grpc.RpcError as error:
                failure = self._failure(error)
                if not (isinstance(failure, Unavailable) and self._reached) or time.monotonic() + pause > give_up:
                    raise failure from None
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                self._reached = True
                return answer

    def _failure(self, error: Any) -> TriviumError:
        code, words = error.code(), error.details()
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED):
            return Unavailable(f"{self.url} cannot be reached, or has no room now: {words}", reason="QDRANT_AWAY")
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return InvalidRequest(f"{self.url} cannot do this: {words}", reason="UNIMPLEMENTED")
        return FailedPrecondition(f"{self.url} says: {words}", reason="QDRANT_FAILED")
