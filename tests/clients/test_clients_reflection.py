"""A gRPC client that has never seen Trivium's protos, as grpcurl is one: it learns them from the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

if TYPE_CHECKING:
    from google.protobuf.message import Message


def test_generic_client_asks_by_reflection(gateway: str) -> None:
    with grpc.insecure_channel(gateway) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "trivium.gateway.v1.GatewayService" in database.get_services()
        service = DescriptorPool(database).FindServiceByName("trivium.gateway.v1.GatewayService")
        method = service.methods_by_name["Answer"]
        call: grpc.UnaryStreamMultiCallable[Message, Message] = channel.unary_stream(
            f"/{service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        request = ParseDict({"question": "How long is the warranty?"}, GetMessageClass(method.input_type)())
        events = [MessageToDict(event) for event in call(request, timeout=60)]

    assert "sources" in events[0]
    assert "24 months" in events[-1]["summary"]["answer"]
