"""What operators and other tools look at: health, readiness, metrics, and the reference."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from trivium_gateway.gateway import Gateway
from trivium_gateway.surfaces.http.page.assets import load_assets
from trivium_gateway.surfaces.http.page.routes import PAGE_HEADERS
from trivium_gateway.surfaces.http.reference import describe, documented, reference_page
from trivium_gateway.surfaces.http.rendering import JsonResponse, readiness_json
from trivium_gateway.surfaces.http.shapes.readiness import ReadinessResponse


def operation_routes(gateway: Gateway, registry: CollectorRegistry) -> APIRouter:
    """The routes.

    Args:
        gateway: Whose readiness is shown.
        registry: Whose metrics are shown.
    """
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="200 while the process lives")
    async def healthz() -> Response:
        return JsonResponse({"status": "ok"})

    @router.get(
        "/readyz",
        summary="200 while any answer, a degraded one included, is possible; how each stage is",
        **documented(ReadinessResponse),
    )
    async def readyz() -> Response:
        return JsonResponse(readiness_json(gateway.readiness), status_code=200 if gateway.readiness.ready else 503)

    @router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        return JsonResponse(describe(request.app))

    @router.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        assets = load_assets(gateway.limits.max_document_bytes)
        return HTMLResponse(reference_page(describe(request.app), f"page/{assets.version}"), headers=PAGE_HEADERS)

    return router
