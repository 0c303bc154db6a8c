"""/v1/files: the files that documents came in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request  # noqa: TC002 - FastAPI reads it
from starlette.responses import Response

from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.documents import document_id_in_path
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.shapes.errors import ErrorResponse

if TYPE_CHECKING:
    from trivium_gateway.gateway import Gateway
    from trivium_gateway.ingestion.page_picture import PagePicture
    from trivium_gateway.library.originals import OriginalFile

# Whatever a file holds, it is not run as a part of the gateway's own pages, and no cache keeps it.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_DOCUMENTED: dict[str, Any] = {
    "response_model": None,
    "responses": {
        200: {
            "description": "The file, or a page of it.",
            "content": {"application/octet-stream": _BYTES, "image/png": _BYTES},
        },
        "default": {"model": ErrorResponse},
    },
}


def file_routes(gateway: Gateway) -> APIRouter:
    """The routes.

    Args:
        gateway: Does the work.
    """
    router = APIRouter(tags=["documents"], dependencies=[Depends(refuse_unknown_parameters)])

    # Ids hold slashes, so nothing can be routed beneath one.
    @router.get(
        "/v1/files/{id:path}", summary="Return the file that a document came in, or a page of it", **_DOCUMENTED
    )
    async def get_file(
        request: Request,
        collection: Annotated[str, Query(description="The collection; default `default`.")] = "",
        page: Annotated[
            int | None, Query(description="Of a PDF, the page to return as a picture, from 1; without it, the file.")
        ] = None,
        scale: Annotated[float, Query(description="Pixels of the picture for each point of the page, up to 4.")] = 2.0,
    ) -> Response:
        document_id = document_id_in_path(request)
        if page is None:
            return _file(document_id, *await gateway.files.get(principal(), collection, document_id))
        return _picture(await gateway.files.draw_page(principal(), collection, document_id, page=page, scale=scale))

    return router


def _file(document_id: str, file: OriginalFile, data: bytes) -> Response:
    name = document_id.rstrip("/").rpartition("/")[2]
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    headers = {**_HEADERS, "Content-Disposition": disposition}
    return Response(data, media_type=file.media_type, headers=headers)


def _picture(drawn: PagePicture) -> Response:
    headers = {
        **_HEADERS,
        "X-Page-Width": f"{drawn.width:g}",
        "X-Page-Height": f"{drawn.height:g}",
        "X-Page-Count": str(drawn.page_count),
    }
    return Response(drawn.png, media_type="image/png", headers=headers)
