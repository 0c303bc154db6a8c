"""Documents, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium.gateway.v1 import gateway_service_pb2 as pb

from trivium_gateway.domain.readers import shown_readers
from trivium_gateway.library.documents import DocumentStatus, NewDocument
from trivium_gateway.surfaces.grpc.messages.structs import json_from

if TYPE_CHECKING:
    from trivium_gateway.library.documents import DocumentResult, StoredDocument

_STATUSES = {
    DocumentStatus.INDEXED: pb.DOCUMENT_STATUS_INDEXED,
    DocumentStatus.UPDATED: pb.DOCUMENT_STATUS_UPDATED,
    DocumentStatus.UNCHANGED: pb.DOCUMENT_STATUS_UNCHANGED,
    DocumentStatus.FAILED: pb.DOCUMENT_STATUS_FAILED,
}


def document_from(document: pb.DocumentInput) -> NewDocument:
    """A document to add or replace."""
    is_file = document.WhichOneof("content") == "file"
    return NewDocument(
        id=document.id or None,
        title=document.title,
        uri=document.uri,
        metadata=json_from(document.metadata),
        text=None if is_file else document.text,
        data=document.file.data if is_file else None,
        filename=document.file.filename,
        media_type=document.file.media_type,
        default_id=document.default_id,
        moved_from=document.moved_from,
        readers=tuple(document.readers),
    )


def result_message(result: DocumentResult) -> pb.DocumentResult:
    """What became of one document."""
    message = pb.DocumentResult(id=result.id, status=_STATUSES[result.status], chunk_count=result.chunk_count)
    message.content_hash = result.content_hash
    if result.error is not None:
        message.error.reason, message.error.message = result.error.reason, result.error.message
    message.parts.extend(result_message(part) for part in result.parts)
    return message


def document_message(document: StoredDocument, *, with_readers: bool) -> pb.Document:
    """A stored document; who only reads is not told its readers."""
    message = pb.Document(
        id=document.id,
        container=document.container,
        title=document.title,
        uri=document.uri,
        chunk_count=document.chunk_count,
        content_hash=document.content_hash,
        text=document.text,
        readers=shown_readers(document.readers) if with_readers else (),
    )
    message.metadata.update(dict(document.metadata))
    return message
