"""GET /v1/models: what can be named as a model."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from trivium_evidence.calibration import calibration_for
from trivium_serving.errors import TriviumError

from trivium_gateway.gateway import Gateway
from trivium_gateway.library.descriptions import CollectionDescription
from trivium_gateway.library.resolved import DEFAULT_COLLECTION
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.openai.errors import OpenAIErrorResponse
from trivium_gateway.surfaces.http.openai.model_ids import COLLECTION_PREFIX, MODEL, MODEL_ALONE, no_model
from trivium_gateway.surfaces.http.openai.shapes import ListModelsResponse, ModelShape
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse

# The day of the first commit: OpenAI's shape wants a moment, and a moving one would be another model each time.
CREATED = 1_795_305_600
# Stages whose own models can be named: in /v1/embeddings and in /v1/rerank.
_NAMED_STAGES = ("embed", "rerank")


def add_model_routes(router: APIRouter, gateway: Gateway) -> None:
    """Adds the routes.

    Args:
        router: What to add them to.
        gateway: Whose models are listed.
    """

    @router.get(
        "/v1/models",
        summary="List the models, in OpenAI's shape",
        **documented(ListModelsResponse, errors=OpenAIErrorResponse),
    )
    async def list_models() -> Response:
        return JsonResponse({"object": "list", "data": list((await _models(gateway)).values())})

    # Ids hold slashes.
    @router.get(
        "/v1/models/{id:path}",
        summary="Describe a model, in OpenAI's shape",
        **documented(ModelShape, errors=OpenAIErrorResponse),
    )
    async def get_model(request: Request) -> Response:
        model: str = request.path_params["id"]
        models = await _models(gateway)
        if model not in models:
            raise no_model(model)
        return JsonResponse(models[model])


async def _models(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """All models by their ids, `trivium` first."""
    try:
        collections = await gateway.library.list_collections(principal())
    except TriviumError:  # without Qdrant none of them can be asked; what is there all the same is listed
        collections = []
    stages = {one.stage: one.model for one in gateway.readiness.stages()}
    named = [stages[stage] for stage in _NAMED_STAGES if stages.get(stage)]
    models = {model: _model(model) for model in (MODEL, MODEL_ALONE)}
    for collection in collections:
        if collection.name == DEFAULT_COLLECTION:
            models[MODEL] = _model(MODEL, collection)
        models[COLLECTION_PREFIX + collection.name] = _model(COLLECTION_PREFIX + collection.name, collection)
    return models | {model: _model(model) for model in named if model not in models}


def _model(model: str, collection: CollectionDescription | None = None) -> dict[str, Any]:
    """In OpenAI's shape, with how its answers are judged: by what the collection's vectors were made with."""
    calibration = calibration_for(collection.model_fingerprint) if collection else None
    return {
        "id": model,
        "object": "model",
        "created": CREATED,
        "owned_by": MODEL,
        "calibration": calibration.name if calibration else None,
        "settings_version": collection.settings.now.number if collection else 0,
    }
