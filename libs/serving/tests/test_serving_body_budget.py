"""Bytes of bodies in flight, and messages before they are decoded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from google.protobuf import struct_pb2
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_serving.body_budget import ALWAYS_TAKEN_BYTES, BodyBudget
from trivium_serving.errors import InvalidField, Overloaded, TooLarge
from trivium_serving.message_gate import MAX_FIELDS, check_fields

if TYPE_CHECKING:
    from google.protobuf.message import Message

MB = 1_000_000


def test_budget_body_that_does_not_fit_is_refused_and_fits_later() -> None:
    refused = []
    budget = BodyBudget(3 * MB, lambda: refused.append(1))
    with budget.body() as one:
        one.grow(2 * MB)
        one.grow(1 * MB)  # it only grows
        with budget.body() as other, pytest.raises(Overloaded) as error:
            other.grow(2 * MB)
        assert error.value.reason == "BODIES_IN_FLIGHT"
        assert budget.held_bytes == 2 * MB

    with budget.body() as later:
        later.grow(3 * MB)
    assert (budget.held_bytes, len(refused)) == (0, 1)


def test_budget_small_body_is_taken_beside_any() -> None:
    budget = BodyBudget(MB)
    with budget.body() as large, budget.body() as small:
        large.grow(MB)
        small.grow(ALWAYS_TAKEN_BYTES)


async def test_budget_stream_waits_for_room_and_gives_up_only_if_there_never_is_any() -> None:
    budget = BodyBudget(3 * MB)
    with budget.body() as first, budget.body() as second:
        first.grow(2 * MB)
        waiting = asyncio.create_task(second.grow_when_there_is_room(2 * MB))
        await asyncio.sleep(0)
        assert not waiting.done()
        first.shrink()
        await waiting
        with pytest.raises(Overloaded):
            await first.grow_when_there_is_room(4 * MB)


def _values(count: int) -> pb.IngestDocumentsRequest:
    listed = struct_pb2.ListValue(values=[struct_pb2.Value()] * count)
    document = pb.DocumentInput(text="a")
    document.metadata.fields["n"].list_value.CopyFrom(listed)
    return pb.IngestDocumentsRequest(documents=[document])


@pytest.mark.parametrize(
    "message",
    [pb.IngestDocumentsRequest(documents=[pb.DocumentInput()] * (MAX_FIELDS + 1)), _values(MAX_FIELDS)],
    ids=["documents", "values in metadata"],
)
def test_gate_message_of_too_many_empty_messages_is_refused_undecoded(message: Message) -> None:
    with pytest.raises(TooLarge) as error:
        check_fields(message.SerializeToString(), pb.IngestDocumentsRequest.DESCRIPTOR)

    assert error.value.reason == "CALL_TOO_LARGE"


def test_gate_message_nested_too_deeply_is_refused() -> None:
    raw = b""
    for _ in range(60):  # a value in a list in a value
        for field in (struct_pb2.ListValue.VALUES_FIELD_NUMBER, struct_pb2.Value.LIST_VALUE_FIELD_NUMBER):
            raw = bytes([field << 3 | 2, len(raw) & 0x7F | 0x80, len(raw) >> 7]) + raw

    with pytest.raises(TooLarge):
        check_fields(raw, struct_pb2.Value.DESCRIPTOR)


def test_gate_ordinary_message_passes() -> None:
    message = _values(1000)
    message.documents[0].title = "é" * 1000

    check_fields(message.SerializeToString(), message.DESCRIPTOR)


@pytest.mark.parametrize("raw", [b"\x0a\x05ab", b"\x0a", b"\x0b", b"\xff" * 20, b"\x09\x00"])
def test_gate_bytes_that_are_no_message_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidField):
        check_fields(raw, pb.AnswerRequest.DESCRIPTOR)
