"""Reads a hostile body of each surface as the gateway does, and prints what it took; for test_gateway_bodies.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_gateway.surfaces.http.bodies import JsonBody, validate
from trivium_gateway.surfaces.http.documents import DocumentsBody
from trivium_gateway.surfaces.http.json_text import parse_json
from trivium_gateway.surfaces.http.mcp.shapes import IngestInput
from trivium_gateway.surfaces.http.openai.chat_bodies import ChatBody
from trivium_gateway.surfaces.http.openai.embeddings import EmbeddingsBody
from trivium_gateway.surfaces.http.openai.response_bodies import ResponsesBody
from trivium_gateway.surfaces.http.openai.vector_stores import VectorSearchBody
from trivium_gateway.surfaces.http.questions import AnswerBody, RetrieveBody
from trivium_gateway.surfaces.http.rerank.bodies import CohereBody, JinaBody, TeiBody
from trivium_serving.errors import TriviumError
from trivium_serving.message_gate import check_fields

if TYPE_CHECKING:
    from collections.abc import Callable

_SIZE = 2_000_000
_SIZE_WITHIN_THE_LIMIT = 90_000  # of values, too
_BEGINNINGS: dict[type[JsonBody], str] = {
    AnswerBody: '{"question":"x","history":[',
    RetrieveBody: '{"query":"x","filter":{"metadata.a":[',
    DocumentsBody: '{"documents":[',
    ChatBody: '{"model":"trivium","messages":[',
    ResponsesBody: '{"model":"trivium","input":[',
    EmbeddingsBody: '{"model":"trivium","input":[',
    VectorSearchBody: '{"query":[',
    CohereBody: '{"query":"x","documents":[',
    JinaBody: '{"query":"x","documents":[',
    TeiBody: '{"query":"x","texts":[',
    IngestInput: '{"documents":[',
}


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def _forget_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def _report(name: str, raw: bytes, read: Callable[[bytes], None], count_errors: Callable[[], int] = lambda: 0) -> None:
    before, outcome = _forget_peak(), "read"
    try:
        read(raw)
    except TriviumError as error:
        outcome = error.reason
    ratio = (_peak_bytes() - before) / len(raw)
    print(json.dumps({"name": name, "ratio": ratio, "outcome": outcome, "errors": count_errors()}))


def _report_json(name: str, body: type[JsonBody], text: str) -> None:
    errors = 0

    def read(raw: bytes) -> None:
        nonlocal errors
        content = parse_json(raw, "body")
        try:
            body.model_validate(content)
        except ValidationError as error:
            errors = error.error_count()
        validate(body, content)

    _report(f"{body.__name__}, {name}", text.encode(), read, lambda: errors)


def _read_protobuf(raw: bytes) -> None:
    check_fields(raw, pb.IngestDocumentsRequest.DESCRIPTOR)
    pb.IngestDocumentsRequest.FromString(raw)


if __name__ == "__main__":
    for body, beginning in _BEGINNINGS.items():
        end = "1]" + "}" * beginning.count("{")
        for item, size in (("[],", _SIZE), ("1,", _SIZE_WITHIN_THE_LIMIT), ("[],", _SIZE_WITHIN_THE_LIMIT)):
            _report_json(f"{size} bytes of {item}", body, beginning + item * (size // len(item)) + end)
        unknown = ",".join(f'"{number}":1' for number in range(_SIZE_WITHIN_THE_LIMIT))
        _report_json("unknown fields", body, "{" + unknown + "}")
        _report_json("deep nesting", body, beginning + "[" * 100_000)
    tag = pb.IngestDocumentsRequest.DESCRIPTOR.fields_by_name["documents"].number << 3 | 2
    _report("gRPC, empty documents", bytes((tag, 0)) * (_SIZE // 2), _read_protobuf)
