"""/v1/documents."""

from collections.abc import AsyncIterable, Iterable
from typing import Annotated, Any, Literal
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from trivium_serving.errors import InvalidField, NotFound

from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.domain.readers import checked_readers, shown_readers
from trivium_gateway.gateway import Gateway
from trivium_gateway.library.documents import DocumentResult, NewDocument
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import JsonBody, at_most, media_type, read_json
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse, boxes_json, document_json, result_json
from trivium_gateway.surfaces.http.shapes.documents import (
    AddDocumentsResponse,
    DeleteDocumentResponse,
    DocumentResponse,
    ListDocumentsResponse,
    ReadersResponse,
)
from trivium_gateway.surfaces.http.shapes.jobs import AcceptedResponse
from trivium_gateway.surfaces.http.streams import while_connected
from trivium_gateway.surfaces.http.uploads import check_job, read_upload
from trivium_gateway.surfaces.pages import DOCUMENTS_ON_A_PAGE

_LIMITS = GatewayLimits()


ReaderNames = Annotated[list[str], *at_most(_LIMITS.max_readers_per_document, "TOO_MANY_READERS")]
"""Who may read a document, as bodies name them."""

_Collection = Annotated[str, Query(description="The collection; default `default`.")]


class DocumentBody(JsonBody):
    """A document to add or replace."""

    id: str | None = Field(None, description="Its id; without one, the hash of the uri, else of the content.")
    title: str | None = Field(None, description="Its title; without one, the content's own.")
    text: str | None = Field(None, description="Its text.")
    uri: str | None = Field(None, description="Where it came from.")
    metadata: dict[str, Any] | None = Field(None, description="Facts about it to filter by.")
    default_id: str | None = Field(
        None, description="Its id where `id` is missing and no document with its uri is stored."
    )
    moved_from: str | None = Field(
        None, description="The document that it was before: what says the same in both is not embedded again."
    )
    readers: ReaderNames | None = Field(
        None,
        description="Who may read it: `user:NAME`, `group:NAME`, or `*` for everyone of the tenant. Without any, who "
        "could before; a new one, everyone.",
    )


class ReadersBody(JsonBody):
    """Who may read a document."""

    readers: ReaderNames = Field(description="`user:NAME`, `group:NAME`, or `*` for everyone of the tenant.")


class DocumentsBody(JsonBody):
    """Documents to add or replace."""

    documents: Annotated[list[DocumentBody], *at_most(_LIMITS.max_documents_per_request, "TOO_MANY_DOCUMENTS")] = Field(
        description="The documents."
    )
    collection: str | None = Field(None, description="Collection to write to; default `default`.")
    wait: bool = Field(
        True, description="False to have a job add them, which /v1/jobs shows: the answer is 202 with the job's id."
    )
    job: str | None = Field(None, description="With `wait` false, the job to add them to; a new one if not given.")


def document_routes(gateway: Gateway) -> APIRouter:
    """The routes.

    Args:
        gateway: Does the work.
    """
    router = APIRouter(tags=["documents"], dependencies=[Depends(refuse_unknown_parameters)])
    limits = gateway.limits

    @router.post(
        "/v1/documents",
        summary="Add or replace documents",
        **documented(AddDocumentsResponse, DocumentsBody, multipart=True, accepted=AcceptedResponse),
    )
    async def add_documents(request: Request) -> Response:
        if media_type(request) == "multipart/form-data":
            upload = await read_upload(request, limits)
            try:
                if not upload.wait:
                    return await in_job(upload.collection, upload.documents(), upload.job)
                work = gateway.library.ingest(
                    principal(), upload.collection, upload.documents(), max_documents=limits.max_documents_per_request
                )
                return _results(await while_connected(request, work))
            finally:
                await upload.close()
        body = await read_json(request, DocumentsBody, limits.max_body_bytes)
        documents = [_new_document(one) for one in body.documents]
        check_job(body.job or "", wait=body.wait)
        if not body.wait:
            return await in_job(body.collection or "", documents, body.job or "")
        work = gateway.library.ingest(
            principal(), body.collection or "", documents, max_documents=limits.max_documents_per_request
        )
        return _results(await while_connected(request, work))

    async def in_job(
        collection: str, documents: AsyncIterable[NewDocument] | Iterable[NewDocument], job_id: str
    ) -> Response:
        job = await gateway.jobs.add(
            principal(), collection, documents, job_id=job_id, max_documents=limits.max_documents_per_request
        )
        return JsonResponse({"job": job.id}, status_code=202, headers={"Location": f"/v1/jobs/{job.id}"})

    @router.get("/v1/documents", summary="List documents, without their texts", **documented(ListDocumentsResponse))
    async def list_documents(
        collection: _Collection = "",
        page_size: Annotated[int, Query(description="Most documents, 1 to 1000.")] = DOCUMENTS_ON_A_PAGE,
        page_token: Annotated[str, Query(description="next_page_token of the page before.")] = "",
    ) -> Response:
        documents, next_token = await gateway.library.list_documents(
            principal(), collection, page_size=page_size, page_token=page_token
        )
        told = principal().may_know_readers
        shown = [document_json(one, with_text=False, with_readers=told) for one in documents]
        return JsonResponse({"documents": shown, "next_page_token": next_token})

    # Ids hold slashes, so nothing can be routed beneath one.
    @router.get(
        "/v1/documents/{id:path}", summary="Return a document with its stored text", **documented(DocumentResponse)
    )
    async def get_document(
        request: Request,
        collection: _Collection = "",
        include: Annotated[list[Literal["boxes"]] | None, Query(description="What else to return: `boxes`.")] = None,
    ) -> Response:
        document = await gateway.library.get_document(principal(), collection, document_id_in_path(request))
        shown = document_json(document, with_text=True, with_readers=principal().may_know_readers)
        return JsonResponse({**shown, "boxes": boxes_json(document.boxes)} if include else shown)

    @router.patch(
        "/v1/documents/{id:path}",
        summary="Change who may read a document, and nothing else",
        **documented(ReadersResponse, ReadersBody),
    )
    async def change_readers(request: Request, collection: _Collection = "") -> Response:
        body, document_id = await read_json(request, ReadersBody, limits.max_body_bytes), document_id_in_path(request)
        changed = await gateway.library.permit(principal(), collection, [document_id], body.readers)
        if not changed:
            raise NotFound(f"There is no document {document_id!r}.", reason="DOCUMENT_NOT_FOUND")
        return JsonResponse({"id": changed[0], "readers": shown_readers(checked_readers(body.readers, limits))})

    @router.delete(
        "/v1/documents/{id:path}",
        summary="Delete a document; one that does not exist is passed over",
        **documented(DeleteDocumentResponse),
    )
    async def delete_document(request: Request, collection: _Collection = "") -> Response:
        deleted = await gateway.library.delete_documents(principal(), collection, [document_id_in_path(request)])
        return JsonResponse({"deleted_ids": deleted})

    return router


def _new_document(body: DocumentBody) -> NewDocument:
    return NewDocument(
        id=body.id,
        title=body.title or "",
        uri=body.uri or "",
        metadata=body.metadata or {},
        text=body.text or "",
        default_id=body.default_id or "",
        moved_from=body.moved_from or "",
        readers=_given(body.readers),
    )


def _given(readers: list[str] | None) -> list[str]:
    if readers == []:
        raise InvalidField("readers", 'There are no readers. Give some, ["*"] for everyone, or leave them out.')
    return readers or []


def _results(results: list[DocumentResult]) -> Response:
    return JsonResponse({"documents": [result_json(one) for one in results]})


def document_id_in_path(request: Request) -> str:
    """The document's id in the path.

    Raises:
        InvalidField: The path is not UTF-8, so that its decoded form is not what was sent.
    """
    try:
        unquote_to_bytes(request.scope["raw_path"]).decode()
    except UnicodeDecodeError:
        raise InvalidField("id", "The id in the path is not percent-encoded UTF-8.") from None
    document_id: str = request.path_params["id"]
    return document_id
