"""Qdrant's `Collections` service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from trivium_serving.errors import InvalidField

from trivium_qdrant_edge.generated import qdrant
from trivium_qdrant_edge.names import AliasAction, DropAlias, RenameAlias, SetAlias
from trivium_qdrant_edge.wire.fields import allow_only
from trivium_qdrant_edge.wire.schemas import description_to_wire, schema_from_wire
from trivium_qdrant_edge.wire.unserved import refuse_other_rpcs
from trivium_qdrant_edge.wire.values import payload_to_python

if TYPE_CHECKING:
    from trivium_qdrant_edge.database import Database

_UPDATE = frozenset(("collection_name", "timeout", "metadata"))


@refuse_other_rpcs
class CollectionsServicer(qdrant.CollectionsServicer):
    """Makes, describes and deletes collections and aliases.

    Args:
        database: Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def Create(self, request: qdrant.CreateCollection, context: object) -> qdrant.CollectionOperationResponse:
        started = time.perf_counter()
        await self._database.create(request.collection_name, schema_from_wire(request))
        return _done(True, started)

    async def Update(self, request: qdrant.UpdateCollection, context: object) -> qdrant.CollectionOperationResponse:
        started = time.perf_counter()
        allow_only(request, _UPDATE)
        await self._database.merge_metadata(request.collection_name, payload_to_python(request.metadata))
        return _done(True, started)

    async def Delete(self, request: qdrant.DeleteCollection, context: object) -> qdrant.CollectionOperationResponse:
        started = time.perf_counter()
        return _done(await self._database.delete(request.collection_name), started)

    async def Get(self, request: qdrant.GetCollectionInfoRequest, context: object) -> qdrant.GetCollectionInfoResponse:
        started = time.perf_counter()
        collection = self._database.collection(request.collection_name)
        description = await collection.read(lambda shard: description_to_wire(collection.entry, shard.info()))
        return qdrant.GetCollectionInfoResponse(result=description, time=time.perf_counter() - started)

    async def List(self, request: qdrant.ListCollectionsRequest, context: object) -> qdrant.ListCollectionsResponse:
        started = time.perf_counter()
        described = [qdrant.CollectionDescription(name=name) for name in self._database.names()]
        return qdrant.ListCollectionsResponse(collections=described, time=time.perf_counter() - started)

    async def CollectionExists(
        self, request: qdrant.CollectionExistsRequest, context: object
    ) -> qdrant.CollectionExistsResponse:
        started = time.perf_counter()
        exists = qdrant.CollectionExists(exists=self._database.exists(request.collection_name))
        return qdrant.CollectionExistsResponse(result=exists, time=time.perf_counter() - started)

    async def UpdateAliases(self, request: qdrant.ChangeAliases, context: object) -> qdrant.CollectionOperationResponse:
        started = time.perf_counter()
        await self._database.change_aliases([_alias_action(operation) for operation in request.actions])
        return _done(True, started)

    async def ListAliases(self, request: qdrant.ListAliasesRequest, context: object) -> qdrant.ListAliasesResponse:
        return self._aliases(None)

    async def ListCollectionAliases(
        self, request: qdrant.ListCollectionAliasesRequest, context: object
    ) -> qdrant.ListAliasesResponse:
        return self._aliases(self._database.own_name(request.collection_name))

    def _aliases(self, collection: str | None) -> qdrant.ListAliasesResponse:
        started = time.perf_counter()
        described = [
            qdrant.AliasDescription(alias_name=alias, collection_name=target)
            for alias, target in sorted(self._database.aliases().items())
            if collection in (None, target)
        ]
        return qdrant.ListAliasesResponse(aliases=described, time=time.perf_counter() - started)


def _alias_action(operation: qdrant.AliasOperations) -> AliasAction:
    kind = operation.WhichOneof("action")
    if kind == "create_alias":
        return SetAlias(operation.create_alias.alias_name, operation.create_alias.collection_name)
    if kind == "rename_alias":
        return RenameAlias(operation.rename_alias.old_alias_name, operation.rename_alias.new_alias_name)
    if kind == "delete_alias":
        return DropAlias(operation.delete_alias.alias_name)
    raise InvalidField("actions", "Wrong input: an alias operation without an action")


def _done(changed: bool, started: float) -> qdrant.CollectionOperationResponse:
    return qdrant.CollectionOperationResponse(result=changed, time=time.perf_counter() - started)
