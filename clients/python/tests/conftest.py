"""A gateway that says what a test tells it to: for errors and edges that the real one shows too rarely to test."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from trivium.gateway.v1 import gateway_service_pb2_grpc

UNARY = (
    "Retrieve",
    "GetDocument",
    "ListDocuments",
    "DeleteDocuments",
    "CreateCollection",
    "GetCollection",
    "ListCollections",
    "DeleteCollection",
    "UpdateCollection",
    "RollBackCollectionSettings",
    "ReindexCollection",
    "EstimateReindex",
    "DiscardCollectionIndex",
    "RollBackCollectionIndex",
    "GetStatus",
)

TEMPORARY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


@dataclass(frozen=True)
class Refusal:
    """An error as Trivium's services send it; without a reason, one as gRPC itself does."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    field: str = ""
    retry_seconds: float = 0.0

    def send(self, context: grpc.ServicerContext) -> None:
        if not self.reason:
            context.abort(self.code, self.message)
        info = error_details_pb2.ErrorInfo(reason=self.reason, domain="trivium.gateway.v1", metadata={"limit": "7"})
        if "TOO_" in self.reason:
            info.metadata["too_large"] = "true"  # as the gateway marks what HTTP answers with 413
        details: list[Any] = [info]
        if self.field:
            violation = error_details_pb2.BadRequest.FieldViolation(field=self.field, description=self.message)
            details.append(error_details_pb2.BadRequest(field_violations=[violation]))
        if self.retry_seconds:
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(int(self.retry_seconds * 1000))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        packed = []
        for detail in details:
            packed.append(any_pb2.Any())
            packed[-1].Pack(detail)
        status = status_pb2.Status(code=self.code.value[0], message=self.message, details=packed)
        context.abort_with_status(rpc_status.to_status(status))


class ScriptedGateway(gateway_service_pb2_grpc.GatewayServiceServicer):
    """Serves on a real port. `script` holds per RPC what comes next: a message, a Refusal, or a function of both."""

    def __init__(self) -> None:
        self.script: dict[str, deque[Any]] = defaultdict(deque)
        self.requests: list[Any] = []
        self.request_ids: list[str] = []
        self._server = grpc.server(ThreadPoolExecutor(8))
        gateway_service_pb2_grpc.add_GatewayServiceServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    def will(self, method: str, *outcomes: Any) -> None:
        self.script[method].extend(outcomes)

    def __getattribute__(self, name: str) -> Any:
        if name in UNARY:
            return lambda request, context: self._next(name, request, context)
        return super().__getattribute__(name)

    def Answer(self, request: Any, context: Any) -> Iterator[Any]:
        self._note(request, context)
        while self.script["Answer"]:
            outcome = self._outcome("Answer", request, context)
            yield outcome
            if outcome.HasField("summary"):  # what follows is the next answer
                return

    def IngestDocuments(self, request_iterator: Any, context: Any) -> Any:
        return self._next("IngestDocuments", list(request_iterator), context)

    def _next(self, name: str, request: Any, context: Any) -> Any:
        self._note(request, context)
        return self._outcome(name, request, context)

    def _note(self, request: Any, context: Any) -> None:
        self.requests.append(request)
        self.request_ids += [value for key, value in context.invocation_metadata() if key == "x-request-id"]

    def _outcome(self, name: str, request: Any, context: Any) -> Any:
        outcome = self.script[name].popleft()
        if isinstance(outcome, Callable):  # type: ignore[arg-type]
            outcome = outcome(request)
        if isinstance(outcome, Refusal):
            if outcome.code in TEMPORARY and name != "IngestDocuments" and not self.script[name]:
                self.script[name].append(outcome)  # the client asks again, and hears the same
            outcome.send(context)
        return outcome


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    gateway = ScriptedGateway()  # type: ignore[abstract]  # __getattribute__ has the rest
    yield gateway
    gateway.stop()


@pytest.fixture
def refusal() -> type[Refusal]:
    return Refusal
