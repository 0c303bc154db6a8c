"""A call of each kind that a gateway takes: over HTTP, over gRPC, and by MCP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.struct_pb2 import Struct
from mcp import Client
from mcp.shared.exceptions import MCPError
from trivium.gateway.v1 import feedback_service_pb2, gateway_service_pb2, job_service_pb2, key_service_pb2
from trivium.gateway.v1 import trace_service_pb2 as traces
from trivium.gateway.v1 import transfer_service_pb2 as transfers
from trivium.gateway.v1 import usage_service_pb2 as usage
from trivium.gateway.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from trivium.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from trivium.gateway.v1.job_service_pb2_grpc import JobServiceStub
from trivium.gateway.v1.key_service_pb2_grpc import KeyServiceStub
from trivium.gateway.v1.trace_service_pb2_grpc import TraceServiceStub
from trivium.gateway.v1.transfer_service_pb2_grpc import TransferServiceStub
from trivium.gateway.v1.usage_service_pb2_grpc import UsageServiceStub

if TYPE_CHECKING:
    from .conftest import Stack

_QUESTION = "What do herons eat?"
_NEW = {"id": "new", "text": "Coots dive."}


def http_calls(name: str, asked: str, job: str) -> list[tuple[str, str, dict[str, Any] | None]]:
    """Method, path and body of each.

    Args:
        name: Of the collection.
        asked: Id of an earlier request that asked a question.
        job: Id of a job.
    """
    question = {"question": _QUESTION, "collection": name}
    chat = {"model": f"trivium/{name}", "messages": [{"role": "user", "content": _QUESTION}]}
    response = {"model": f"trivium/{name}", "input": _QUESTION}
    texts = {"query": "fish", "documents": ["Herons eat fish."]}
    return [
        ("POST", "/v1/retrieve", {"query": _QUESTION, "collection": name}),
        ("POST", "/v1/answer", question),
        ("POST", "/v1/answer", {**question, "stream": True}),
        ("POST", "/v1/answer", {**question, "mode": "model", "stream": True}),
        ("POST", "/v1/answer", {**question, "mode": "model"}),
        ("POST", "/v1/documents", {"collection": name, "documents": [_NEW]}),
        ("GET", f"/v1/documents?collection={name}", None),
        ("GET", f"/v1/documents/heron?collection={name}", None),
        ("GET", f"/v1/documents/heron?collection={name}&include=boxes", None),
        ("GET", f"/v1/files/heron?collection={name}", None),
        ("PATCH", f"/v1/documents/heron?collection={name}", {"readers": ["*"]}),
        ("DELETE", f"/v1/documents/none?collection={name}", None),
        ("GET", "/v1/usage", None),
        ("GET", "/v1/quotas", None),
        ("PUT", "/v1/quotas", {}),
        ("GET", "/v1/jobs", None),
        ("GET", f"/v1/jobs/{job}", None),
        ("POST", f"/v1/jobs/{job}/retry", None),
        ("DELETE", f"/v1/jobs/{job}", None),
        ("POST", "/v1/collections", {"name": f"{name}-new"}),
        ("GET", "/v1/collections", None),
        ("GET", f"/v1/collections/{name}", None),
        ("PATCH", f"/v1/collections/{name}", {"settings": {"candidates": 50}}),
        ("POST", f"/v1/collections/{name}/settings/rollback", None),
        ("POST", f"/v1/collections/{name}/reindex", None),
        ("POST", f"/v1/collections/{name}/reindex/estimate", {"model": "words"}),
        ("POST", f"/v1/collections/{name}/rollback", None),
        ("POST", f"/v1/collections/{name}/discard", None),
        ("GET", f"/v1/collections/{name}/export", None),
        ("POST", f"/v1/collections/{name}/import", None),
        ("DELETE", f"/v1/collections/{name}-new", None),
        ("GET", f"/v1/traces/{asked}?include=texts&document_id=heron", None),
        ("POST", f"/v1/traces/{asked}/replay?include=texts", {"set": {"collapse": False}}),
        ("POST", "/v1/feedback", {"request_id": asked, "rating": 1, "document_ids": ["heron"]}),
        ("GET", "/v1/feedback", None),
        ("GET", f"/v1/feedback/export?collection={name}", None),
        ("DELETE", f"/v1/feedback/{asked}", None),
        ("POST", "/v1/embeddings", {"model": "trivium", "input": "fish"}),
        ("POST", "/v1/embeddings", {"model": "words", "input": "fish"}),
        ("POST", "/v2/embed", {"model": "trivium", "texts": ["fish"], "input_type": "search_query"}),
        ("POST", "/v2/rerank", {"model": "trivium", **texts}),
        ("POST", "/v1/rerank", {"model": "trivium", **texts}),
        ("POST", "/rerank", {"query": "fish", "texts": ["Herons eat fish."]}),
        ("POST", "/v1/chat/completions", chat),
        ("POST", "/v1/chat/completions", {**chat, "stream": True}),
        ("POST", "/v1/responses", response),
        ("POST", "/v1/responses", {**response, "stream": True}),
        ("GET", "/v1/vector_stores", None),
        ("GET", f"/v1/vector_stores/{name}", None),
        ("POST", f"/v1/vector_stores/{name}/search", {"query": "herons"}),
        ("GET", "/v1/models", None),
        ("GET", f"/v1/models/trivium/{name}", None),
        ("POST", "/v1/keys", {"name": "new"}),
        ("GET", "/v1/keys", None),
        ("POST", "/v1/keys/none/rotate", {}),
        ("DELETE", "/v1/keys/none", None),
        ("GET", "/healthz", None),
        ("GET", "/readyz", None),
        ("GET", "/metrics", None),
    ]


def _grpc_calls(name: str, asked: str, job: str) -> dict[type, list[tuple[str, Any]]]:
    pb, jobs, keys, feedback = gateway_service_pb2, job_service_pb2, key_service_pb2, feedback_service_pb2
    document = pb.DocumentInput(id=_NEW["id"], text=_NEW["text"])
    exported = transfers.ExportedDocument(id="new", text="Coots dive.", readers=["*"])
    change = Struct()
    change.update({"collapse": False})
    return {
        GatewayServiceStub: [
            ("Retrieve", pb.RetrieveRequest(query="herons", collection=name)),
            ("Answer", pb.AnswerRequest(question=_QUESTION, collection=name)),
            ("Answer", pb.AnswerRequest(question="herons?", collection=name, mode=pb.ANSWER_MODE_MODEL)),
            ("IngestDocuments", iter([pb.IngestDocumentsRequest(collection=name, documents=[document])])),
            ("GetDocument", pb.GetDocumentRequest(collection=name, id="heron")),
            ("ListDocuments", pb.ListDocumentsRequest(collection=name)),
            ("SetReaders", pb.SetReadersRequest(collection=name, ids=["heron"], readers=["*"])),
            ("DeleteDocuments", pb.DeleteDocumentsRequest(collection=name, ids=["none"])),
            ("CreateCollection", pb.CreateCollectionRequest(name=f"{name}-new")),
            ("GetCollection", pb.GetCollectionRequest(name=name)),
            ("ListCollections", pb.ListCollectionsRequest()),
            ("ReindexCollection", pb.ReindexCollectionRequest(name=name)),
            ("EstimateReindex", pb.EstimateReindexRequest(name=name, model="words")),
            ("RollBackCollectionIndex", pb.RollBackCollectionIndexRequest(name=name)),
            ("DiscardCollectionIndex", pb.DiscardCollectionIndexRequest(name=name)),
            ("UpdateCollection", pb.UpdateCollectionRequest(name=name, settings=pb.CollectionSettings(candidates=50))),
            ("RollBackCollectionSettings", pb.RollBackCollectionSettingsRequest(name=name)),
            ("DeleteCollection", pb.DeleteCollectionRequest(name=f"{name}-new")),
            ("GetStatus", pb.GetStatusRequest()),
        ],
        JobServiceStub: [
            ("GetJob", jobs.GetJobRequest(id=job)),
            ("ListJobs", jobs.ListJobsRequest()),
            ("RetryJob", jobs.RetryJobRequest(id=job)),
            ("DeleteJob", jobs.DeleteJobRequest(id=job)),
            ("StartJob", jobs.StartJobRequest(collection=name, documents=[document])),
        ],
        TraceServiceStub: [
            ("GetTrace", traces.GetTraceRequest(request_id=asked, include_texts=True, document_id="heron")),
            ("ReplayTrace", traces.ReplayTraceRequest(request_id=asked, set=change, include_texts=True)),
        ],
        FeedbackServiceStub: [
            ("GiveFeedback", feedback.GiveFeedbackRequest(request_id=asked, rating=1)),
            ("ListFeedback", feedback.ListFeedbackRequest()),
            ("ExportFeedback", feedback.ExportFeedbackRequest(collection=name)),
            ("DeleteFeedback", feedback.DeleteFeedbackRequest(request_id=asked)),
        ],
        KeyServiceStub: [
            ("CreateKey", keys.CreateKeyRequest(name="new")),
            ("ListKeys", keys.ListKeysRequest()),
            ("RotateKey", keys.RotateKeyRequest(id="none")),
            ("RevokeKey", keys.RevokeKeyRequest(id="none")),
        ],
        TransferServiceStub: [
            ("ExportDocuments", transfers.ExportDocumentsRequest(collection=name)),
            ("ImportDocuments", iter([transfers.ImportDocumentsRequest(collection=name, documents=[exported])])),
        ],
        UsageServiceStub: [
            ("GetUsage", usage.GetUsageRequest()),
            ("ListQuotas", usage.ListQuotasRequest()),
            ("SetQuota", usage.SetQuotaRequest()),
        ],
    }


def grpc_methods_called() -> set[str]:
    """The names of the methods that `grpc_answers` calls."""
    return {method for calls in _grpc_calls("", "", "").values() for method, _ in calls}


def grpc_methods() -> set[str]:
    """The names of all methods of the gateway's services."""
    files = (gateway_service_pb2, job_service_pb2, key_service_pb2, feedback_service_pb2, traces, transfers, usage)
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    return {method.name for service in services for method in service.methods}


async def grpc_answers(stack: Stack, asked: str, job: str) -> list[str]:
    """All that a caller gets of each call, be it an error, with the trailing metadata."""
    answers = []
    for stub, calls in _grpc_calls(stack.collection, asked, job).items():
        for method, request in calls:
            made = getattr(stub(stack.channel), method)(request)
            try:
                parts = [one async for one in made] if hasattr(made, "__aiter__") else [await made]
                answers.append(f"{parts} {await made.trailing_metadata()}")
            except grpc.aio.AioRpcError as error:
                answers.append(f"{error.details()} {error.trailing_metadata()}")
    return answers


async def mcp_answers(stack: Stack) -> list[str]:
    """What a model gets of each tool, and of a document as a resource."""
    name = stack.collection
    calls: dict[str, dict[str, Any]] = {
        "search": {"query": "herons", "collection": name},
        "answer": {"question": _QUESTION, "collection": name},
        "ingest": {"documents": [_NEW], "collection": name},
        "list_documents": {"collection": name},
        "read_document": {"id": "heron", "collection": name},
        "list_collections": {},
    }
    answers = []
    async with Client(f"{stack.http.base_url}".rstrip("/") + "/mcp") as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == set(calls)
        for tool, arguments in calls.items():
            answers.append(str(await client.call_tool(tool, arguments)))
        try:
            answers.append(str(await client.read_resource(f"trivium://{name}/heron")))
        except MCPError as error:
            answers.append(str(error))
    return answers
