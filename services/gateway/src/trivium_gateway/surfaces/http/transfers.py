"""/v1/collections/{name}/export and /v1/collections/{name}/import: documents as lines of JSON, with their vectors."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pybase64
from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads it
from starlette.responses import Response, StreamingResponse
from trivium_serving.errors import InvalidField

from trivium_gateway.domain.chunks import LineBox
from trivium_gateway.domain.readers import shown_readers
from trivium_gateway.domain.sparse_weights import SparseWeights
from trivium_gateway.gateway.transfers import CarriedDocument, CarriedPiece, ExportedCollection
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import JsonBody, at_most, limited_stream, media_type, validate
from trivium_gateway.surfaces.http.documents import ReaderNames  # noqa: TC001 - pydantic reads it
from trivium_gateway.surfaces.http.json_text import parse_json
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse, json_bytes, result_json
from trivium_gateway.surfaces.http.shapes.documents import AddDocumentsResponse
from trivium_gateway.surfaces.http.shapes.errors import ErrorResponse
from trivium_gateway.surfaces.http.streams import while_connected

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from trivium_gateway.gateway import Gateway
    from trivium_gateway.library.exporting import ExportedDocument

FORMAT_VERSION = 1
"""Of the lines. Raise it when an earlier version could not read them."""

_MOST_LINES, _MOST_PIECES = 1_000_000, 65_536
"""In one line of an import; a document that has more goes over several."""

_MOST_WEIGHTS = 65_536
"""In one learned sparse vector; the embed service gives 512."""

_LINES = "application/x-ndjson"
_Vectors = Annotated[bool, Query(description="False to leave the vectors out.")]
_PageToken = Annotated[str, Query(description="Where to go on: the last page_token of an export that broke off.")]
_Embed = Annotated[bool, Query(description="True to embed the texts if the collection has another model.")]


class _PieceBody(JsonBody):
    start: int = Field(ge=0, le=0xFFFFFFFF)
    end: int = Field(ge=0, le=0xFFFFFFFF)
    vector: str
    token_codes: str = ""
    learned_indices: Annotated[list[int], *at_most(_MOST_WEIGHTS)] = Field(default_factory=list)
    learned_values: Annotated[list[float], *at_most(_MOST_WEIGHTS)] = Field(default_factory=list)


class _DocumentBody(JsonBody):
    id: str
    continues: bool = False
    title: str = ""
    uri: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    readers: ReaderNames = Field(default_factory=list)
    container: str = ""
    text: str = ""
    lines: Annotated[list[Annotated[list[float], *at_most(6)]], *at_most(_MOST_LINES)] = Field(default_factory=list)
    pieces: Annotated[list[_PieceBody], *at_most(_MOST_PIECES)] = Field(default_factory=list)


class _SourceBody(JsonBody):
    name: str
    model: str
    model_fingerprint: str
    dimension: int
    has_vectors: bool
    settings: dict[str, Any] | None = None
    chunk_count: int = 0


class _FirstLine(JsonBody):
    trivium_export: int
    collection: _SourceBody


class _DocumentLine(JsonBody):
    document: _DocumentBody


def transfer_routes(gateway: Gateway) -> APIRouter:
    """The routes.

    Args:
        gateway: Does the work.
    """
    router = APIRouter(tags=["collections"], dependencies=[Depends(refuse_unknown_parameters)])

    @router.get(
        "/v1/collections/{name}/export",
        summary="The documents of a collection, with their vectors, as lines of JSON",
        response_class=Response,
        responses={200: {"content": {_LINES: {"schema": {"type": "string"}}}}, "default": {"model": ErrorResponse}},
    )
    async def export_documents(name: str, vectors: _Vectors = True, page_token: _PageToken = "") -> Response:
        lines = _lines(gateway.transfers.export(principal(), name, page_token=page_token, with_vectors=vectors))
        first = await anext(lines)  # what fails before it is an error response as anywhere else
        return StreamingResponse(_joined(first, lines), media_type=_LINES)

    @router.post(
        "/v1/collections/{name}/import",
        summary="Add or replace documents as they were exported",
        openapi_extra={"requestBody": {"required": True, "content": {_LINES: {"schema": {"type": "string"}}}}},
        **documented(AddDocumentsResponse),
    )
    async def import_documents(name: str, request: Request, embed: _Embed = False) -> Response:
        kind = media_type(request)
        if kind and kind not in (_LINES, "application/jsonl", "application/octet-stream"):
            raise InvalidField(
                "Content-Type", f"The body is declared as {kind}; send {_LINES}.", reason="WRONG_CONTENT_TYPE"
            )
        body = b"".join([piece async for piece in limited_stream(request, gateway.limits.max_body_bytes)])
        lines = body.split(b"\n")
        del body
        source = _source(lines[0])
        work = gateway.transfers.take_in(
            principal(),
            name,
            source,
            _documents(lines),
            embed=embed,
            max_documents=gateway.limits.max_documents_per_request,
        )
        results = await while_connected(request, work)
        return JsonResponse({"documents": [result_json(one) for one in results]})

    return router


def _source(line: bytes) -> ExportedCollection:
    try:
        first = validate(_FirstLine, parse_json(line, "line 1"))
    except InvalidField as error:
        raise InvalidField(
            "body", f"The first line is not that of an export: {error.message}", reason="EXPORT_DAMAGED"
        ) from None
    if first.trivium_export != FORMAT_VERSION:
        raise InvalidField(
            "body",
            f"The export is of version {first.trivium_export}; this gateway reads {FORMAT_VERSION}.",
            reason="EXPORT_DAMAGED",
        )
    told = first.collection
    return ExportedCollection(
        told.name, told.model, told.model_fingerprint, told.dimension, told.has_vectors, None, told.chunk_count
    )


async def _documents(lines: list[bytes]) -> AsyncIterator[CarriedDocument]:
    """The documents in the lines after the first; the lines are given up one by one."""
    for number, line in enumerate(lines[1:], start=2):
        lines[number - 1] = b""
        if not line.strip() or line.startswith((b'{"page_token"', b'{"done"')):
            continue
        try:
            yield await asyncio.to_thread(_document, line, number)
        except InvalidField as error:
            raise InvalidField(
                "body", f"Line {number} is no document of an export: {error.message}", reason="EXPORT_DAMAGED"
            ) from None


def _document(line: bytes, number: int) -> CarriedDocument:
    body = validate(_DocumentLine, parse_json(line, f"line {number}")).document
    if any(len(one) != 6 for one in body.lines):
        raise InvalidField("lines", "A line has not six numbers: start, page, and four edges.")
    return CarriedDocument(
        id=body.id,
        continues=body.continues,
        title=body.title,
        uri=body.uri,
        metadata=body.metadata,
        readers=body.readers,
        container=body.container,
        text=body.text,
        boxes=[LineBox(int(start), int(page), *edges) for start, page, *edges in body.lines],
        pieces=[_piece(one) for one in body.pieces],
    )


def _piece(body: _PieceBody) -> CarriedPiece:
    try:
        vector, codes = (pybase64.b64decode(one, validate=True) for one in (body.vector, body.token_codes))
    except ValueError:
        raise InvalidField("pieces", "A vector, or token codes, are not base64.") from None
    return CarriedPiece(body.start, body.end, vector, codes, SparseWeights(body.learned_indices, body.learned_values))


async def _joined(first: bytes, lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """All lines again. If one fails, the connection breaks off, so that nobody takes what came for all of it."""
    async with aclosing(lines):
        yield first
        async for line in lines:
            yield line


async def _lines(
    exported: AsyncGenerator[tuple[ExportedCollection | ExportedDocument | None, str], None],
) -> AsyncGenerator[bytes, None]:
    """An export as lines; the last one says how much there was, so that it shows if something is missing."""
    digest, counts = hashlib.sha256(), {"documents": 0, "pieces": 0}
    async with aclosing(exported):
        async for content, page_token in exported:
            if isinstance(content, ExportedCollection):
                told: dict[str, Any] = {"trivium_export": FORMAT_VERSION, "collection": _collection_json(content)}
            elif content is not None:
                told = {"document": await asyncio.to_thread(_document_json, content)}
                counts["documents"] += not content.continues
                counts["pieces"] += len(content.pieces)
            else:
                told = {"page_token": page_token}
            line = await asyncio.to_thread(json_bytes, told) + b"\n"
            digest.update(line)
            yield line
    yield json_bytes({"done": {**counts, "sha256": digest.hexdigest()}}) + b"\n"


def _collection_json(collection: ExportedCollection) -> dict[str, Any]:
    return {
        "name": collection.name,
        "model": collection.model,
        "model_fingerprint": collection.model_fingerprint,
        "dimension": collection.dimension,
        "has_vectors": collection.has_vectors,
        "settings": collection.settings.given() if collection.settings is not None else None,
        "chunk_count": collection.chunk_count,
    }


def _learned_json(learned: SparseWeights | None) -> dict[str, Any]:
    if learned is None:
        return {}
    return {"learned_indices": list(learned.indices), "learned_values": list(learned.values)}


def _document_json(document: ExportedDocument) -> dict[str, Any]:
    pieces = [
        {
            "start": one.start,
            "end": one.end,
            "vector": pybase64.b64encode_as_string(np.asarray(one.embedded.vector, dtype="<f4").tobytes()),
            "token_codes": pybase64.b64encode_as_string(one.embedded.token_codes),
            **_learned_json(one.embedded.learned),
        }
        for one in document.pieces
    ]
    if document.continues:
        return {"id": document.id, "continues": True, "pieces": pieces}
    return {
        "id": document.id,
        "title": document.title,
        "uri": document.uri,
        "metadata": dict(document.metadata),
        "readers": shown_readers(document.readers),
        "container": document.container,
        "text": document.text,
        "lines": [_line_json(one) for one in document.boxes],
        "pieces": pieces,
    }


def _line_json(box: LineBox) -> Sequence[float]:
    return [box.start, box.page, box.x0, box.y0, box.x1, box.y1]
