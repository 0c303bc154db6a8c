"""/v1/collections/{name}/reindex, and what goes with it."""

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from trivium_gateway.gateway import Gateway
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import JsonBody, read_json
from trivium_gateway.surfaces.http.indexes_json import estimate_json, reindex_json
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse, collection_json
from trivium_gateway.surfaces.http.shapes.collections import CollectionResponse, EstimateResponse, ReindexResponse


class ReindexBody(JsonBody):
    """How to make a collection anew. There may be none."""

    model: str | None = Field(
        None,
        description="The embedding model to change to, or the name of the service that runs it; default: its own, or "
        "that of a change that was begun.",
    )
    force: bool | None = Field(
        None, description="Whether the new index is to answer even if it finds less; default false."
    )


class EstimateBody(JsonBody):
    """The change to estimate."""

    model: str = Field(description="The embedding model to change to, or the name of the service that runs it.")


def index_routes(gateway: Gateway) -> APIRouter:
    """The routes.

    Args:
        gateway: Does the work.
    """
    router = APIRouter(tags=["collections"], dependencies=[Depends(refuse_unknown_parameters)])

    @router.post(
        "/v1/collections/{name}/reindex",
        summary="Make a collection anew from its stored text, also with another model; call it until it is done",
        **documented(ReindexResponse, ReindexBody, body_optional=True),
    )
    async def reindex_collection(name: str, request: Request) -> Response:
        body = await _body(request, gateway)
        progress = await gateway.rebuilding.reindex(principal(), name, model=body.model or "", force=bool(body.force))
        return JsonResponse(reindex_json(progress))

    @router.post(
        "/v1/collections/{name}/reindex/estimate",
        summary="Say what it would take to give a collection another model",
        **documented(EstimateResponse, EstimateBody),
    )
    async def estimate_reindex(name: str, request: Request) -> Response:
        body = await read_json(request, EstimateBody, gateway.limits.max_body_bytes)
        return JsonResponse(estimate_json(await gateway.rebuilding.estimate(principal(), name, body.model)))

    @router.post(
        "/v1/collections/{name}/rollback",
        summary="Have the index before the last change of the model answer again",
        **documented(CollectionResponse),
    )
    async def roll_back_index(name: str) -> Response:
        return JsonResponse(collection_json(await gateway.rebuilding.roll_back(principal(), name)))

    @router.post(
        "/v1/collections/{name}/discard",
        summary="Delete the index beside the one that answers: the one before, or one that is being made",
        **documented(CollectionResponse),
    )
    async def discard_index(name: str) -> Response:
        return JsonResponse(collection_json(await gateway.rebuilding.discard(principal(), name)))

    return router


async def _body(request: Request, gateway: Gateway) -> ReindexBody:
    """What is asked; calls without a body are as old as the route."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return ReindexBody(model=None, force=None)
    return await read_json(request, ReindexBody, gateway.limits.max_body_bytes)
