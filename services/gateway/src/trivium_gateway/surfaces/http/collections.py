"""/v1/collections."""

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from trivium_gateway.gateway import Gateway
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import JsonBody, read_json
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse, collection_json
from trivium_gateway.surfaces.http.settings import SettingsBody
from trivium_gateway.surfaces.http.shapes.collections import (
    CollectionResponse,
    DeleteCollectionResponse,
    ListCollectionsResponse,
)


class UpdateCollectionBody(JsonBody):
    """What to change about a collection."""

    settings: SettingsBody = Field(description="What to set; what is left out stays, null leaves it to the gateway.")
    note: str | None = Field(None, description="Why, for those who look later; at most 500 characters.")
    based_on: int | None = Field(
        None, description="Number of the version that must be in force, else nothing is changed; default any."
    )


class CollectionBody(JsonBody):
    """A collection to create."""

    name: str = Field(description="1 to 64 letters, digits, `-` and `_`, the first one a letter or digit.")


def collection_routes(gateway: Gateway) -> APIRouter:
    """The routes.

    Args:
        gateway: Does the work.
    """
    router = APIRouter(tags=["collections"], dependencies=[Depends(refuse_unknown_parameters)])

    @router.post(
        "/v1/collections",
        summary="Create a collection",
        status_code=201,
        **documented(CollectionResponse, CollectionBody),
    )
    async def create_collection(request: Request) -> Response:
        body = await read_json(request, CollectionBody, gateway.limits.max_body_bytes)
        created = await gateway.library.create_collection(principal(), body.name)
        return JsonResponse(collection_json(created), status_code=201)

    @router.get("/v1/collections", summary="List all collections", **documented(ListCollectionsResponse))
    async def list_collections() -> Response:
        found = await gateway.library.list_collections(principal())
        return JsonResponse({"collections": [collection_json(one) for one in found]})

    @router.get("/v1/collections/{name}", summary="Describe a collection", **documented(CollectionResponse))
    async def get_collection(name: str) -> Response:
        return JsonResponse(collection_json(await gateway.library.get_collection(principal(), name)))

    @router.delete(
        "/v1/collections/{name}",
        summary="Delete a collection and everything in it",
        **documented(DeleteCollectionResponse),
    )
    async def delete_collection(name: str) -> Response:
        await gateway.library.delete_collection(principal(), name)
        return JsonResponse({"deleted": name})

    @router.patch(
        "/v1/collections/{name}",
        summary="Change how a collection is searched and judged",
        **documented(CollectionResponse, UpdateCollectionBody),
    )
    async def update_collection(name: str, request: Request) -> Response:
        body = await read_json(request, UpdateCollectionBody, gateway.limits.max_body_bytes)
        changed = await gateway.library.change_settings(
            principal(),
            name,
            body.settings.settings(),
            clear=body.settings.cleared(),
            note=body.note or "",
            based_on=body.based_on,
        )
        return JsonResponse(collection_json(changed))

    @router.post(
        "/v1/collections/{name}/settings/rollback",
        summary="Take the last change of a collection's settings back",
        **documented(CollectionResponse),
    )
    async def roll_back_settings(name: str) -> Response:
        return JsonResponse(collection_json(await gateway.library.roll_back_settings(principal(), name)))

    return router
