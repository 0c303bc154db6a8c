"""The SDK knows what the gateway will call a document, so that two versions of one never travel at the same time."""

from __future__ import annotations

import pytest
import trivium_client
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_client._batches import Batch
from trivium_gateway.ingestion.preparation import document_id_of
from trivium_gateway.library.documents import NewDocument


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "a", "uri": "u", "text": "t"},
        {"uri": "https://example.org/ü", "text": "t"},
        {"text": "龙井茶"},
        {"data": b"\xff"},
        {"uri": "u", "data": b"x"},
    ],
    ids=str,
)
def test_id_of_a_document_is_the_same_in_sdk_and_gateway(fields: dict[str, object]) -> None:
    batch = Batch(pb.IngestDocumentsRequest())
    batch.add(trivium_client.NewDocument(**fields))  # type: ignore[arg-type]
    assert batch.ids == {document_id_of(NewDocument(**fields))}  # type: ignore[arg-type]
