"""The gRPC surface of traces: converts messages, and decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.struct_pb2 import Struct
from trivium.gateway.v1 import trace_service_pb2 as pb
from trivium.gateway.v1.trace_service_pb2_grpc import TraceServiceServicer, add_TraceServiceServicer_to_server

from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.grpc.messages.structs import json_from
from trivium_gateway.surfaces.traces import trace_json

if TYPE_CHECKING:
    from trivium_gateway.gateway import Gateway

FULL_NAME = pb.DESCRIPTOR.services_by_name["TraceService"].full_name

_Context = grpc.aio.ServicerContext[Any, Any]


class TraceServicer(TraceServiceServicer):
    """Serves trivium.gateway.v1.TraceService.

    Args:
        gateway: Does the work.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._questions = gateway.questions

    async def GetTrace(self, request: pb.GetTraceRequest, context: _Context) -> pb.GetTraceResponse:
        """Gives what a question went through."""
        who, wanted = principal(), request.document_id
        trace = self._questions.trace(who, request.request_id)
        explanation = await self._questions.explain(who, trace, wanted) if wanted else None
        shown = trace_json(trace, self._questions.settings, explanation, with_texts=request.include_texts)
        return pb.GetTraceResponse(trace=_struct(shown))

    async def ReplayTrace(self, request: pb.ReplayTraceRequest, context: _Context) -> pb.ReplayTraceResponse:
        """Asks again what was asked, with other settings."""
        replay = await self._questions.replay(principal(), request.request_id, json_from(request.set))
        before, after = (
            _struct(trace_json(one, self._questions.settings, with_texts=request.include_texts))
            for one in (replay.before, replay.after)
        )
        return pb.ReplayTraceResponse(before=before, after=after)


def serve(gateway: Gateway, server: grpc.aio.Server) -> None:
    """Has a server serve traces."""
    add_TraceServiceServicer_to_server(TraceServicer(gateway), server)


def _struct(shown: dict[str, Any]) -> Struct:
    struct = Struct()
    struct.update(shown)
    return struct
