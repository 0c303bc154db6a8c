"""`/` and what its page consists of."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from trivium_serving.errors import NotFound

from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.surfaces.http.page.assets import INDEX, WORKER, Asset, load_assets

# Nothing but the page's own files runs or is loaded, whatever a document or an answer holds; and no script can turn
# text into markup, by mistake either (trusted types; the one policy names the worker's script, and nothing else).
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types trivium-worker",
    )
)
PAGE_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ASK_AGAIN = "no-cache"
_KEEP = "public, max-age=31536000, immutable"


def page_routes(limits: GatewayLimits) -> APIRouter:
    """The routes.

    Args:
        limits: Those that the page tells people.
    """
    router = APIRouter(include_in_schema=False)
    assets = load_assets(limits.max_document_bytes)

    @router.get("/")
    async def page(request: Request) -> Response:
        return _served(request, assets.by_name[INDEX], _ASK_AGAIN)

    @router.get("/worker.js")
    async def worker(request: Request) -> Response:
        return _served(request, assets.by_name[WORKER], _ASK_AGAIN)

    @router.get("/page/{version}/{name}")
    async def asset(request: Request, version: str, name: str) -> Response:
        found = assets.by_name.get(name)
        if found is None or name in (INDEX, WORKER):
            raise NotFound(f"The page has no file {name!r}.", reason="ROUTE_NOT_FOUND")
        return _served(request, found, _KEEP if version == assets.version else _ASK_AGAIN)

    return router


def _served(request: Request, asset: Asset, caching: str) -> Response:
    headers = {**PAGE_HEADERS, "ETag": asset.etag, "Cache-Control": caching, "Vary": "Accept-Encoding"}
    known = {one.strip() for one in request.headers.get("if-none-match", "").split(",")}
    if {asset.etag, asset.etag.removeprefix("W/"), "*"} & known:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.compressed, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(asset.content, media_type=asset.media_type, headers=headers)
