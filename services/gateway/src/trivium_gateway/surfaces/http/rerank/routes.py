"""POST /v2/rerank, /v1/rerank and /rerank."""

import logging

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response
from trivium_serving.errors import TriviumError
from trivium_serving.logs import log_failure

from trivium_gateway.gateway import Gateway
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import read_json
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse
from trivium_gateway.surfaces.http.rerank.bodies import CohereBody, JinaBody, TeiBody
from trivium_gateway.surfaces.http.rerank.shapes import (
    CohereResponse,
    JinaResponse,
    TeiErrorResponse,
    TeiResponse,
    cohere_json,
    jina_json,
    tei_error_response,
    tei_json,
)
from trivium_gateway.surfaces.http.streams import while_connected

_logger = logging.getLogger(__name__)


def rerank_routes(gateway: Gateway) -> APIRouter:
    """The routes.

    Args:
        gateway: Does the work.
    """
    router = APIRouter(tags=["rerank"], dependencies=[Depends(refuse_unknown_parameters)])
    max_bytes = gateway.limits.max_body_bytes

    @router.post(
        "/v2/rerank", summary="Order texts by a query, in Cohere's shape", **documented(CohereResponse, CohereBody)
    )
    async def cohere_rerank(request: Request) -> Response:
        body = await read_json(request, CohereBody, max_bytes)
        task = body.task()
        ranked = await while_connected(request, gateway.questions.rerank(principal(), task))
        return JsonResponse(cohere_json(ranked, task.texts if body.return_documents else None, "2"))

    @router.post(
        "/v1/rerank",
        summary="Order texts by a query, in Jina's shape and that of Cohere's v1",
        **documented(JinaResponse, JinaBody),
    )
    async def jina_rerank(request: Request) -> Response:
        body = await read_json(request, JinaBody, max_bytes)
        task = body.task()
        ranked = await while_connected(request, gateway.questions.rerank(principal(), task))
        return JsonResponse(jina_json(ranked, task.texts if body.return_documents else None))

    tei_documented = documented(TeiResponse, TeiBody)
    tei_documented["responses"]["default"] = {"model": TeiErrorResponse}

    @router.post("/rerank", summary="Order texts by a query, in TEI's shape", **tei_documented)
    async def tei_rerank(request: Request) -> Response:
        try:
            body = await read_json(request, TeiBody, max_bytes)
            task = body.task()
            ranked = await while_connected(request, gateway.questions.rerank(principal(), task))
        except TriviumError as error:
            log_failure(_logger, "POST /rerank", error)
            return tei_error_response(error)
        return JsonResponse(tei_json(ranked, task.texts if body.return_text else None))

    return router
