"""The service over gRPC, without a language model."""

from __future__ import annotations

import time
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.type.v1 import degradation_pb2, message_pb2
from trivium_serving.errors import FailedPrecondition, InvalidField, TooLarge
from trivium_serving.rpc_errors import error_from_rpc

QUESTION = "When was the bridge opened?"
PASSAGES = [
    pb.Passage(title="Bridges", text="The bridge is red. It was opened in May 1937 after four years.", score=0.9),
    pb.Passage(title="Boats", text="Boats pass below. Most of them are white.", score=0.2),
]


def request(**changes: object) -> pb.GenerateRequest:
    return pb.GenerateRequest(**{"question": QUESTION, "passages": PASSAGES, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", [pb.GENERATE_MODE_UNSPECIFIED, pb.GENERATE_MODE_AUTO, pb.GENERATE_MODE_EXTRACTIVE])
async def test_generate_without_a_model_answers_extractively(service: Any, mode: Any) -> None:
    async with service() as running:
        begin = time.perf_counter()
        answer = await running.answer(request(mode=mode))
        milliseconds = (time.perf_counter() - begin) * 1000
    assert "It was opened in May 1937 after four years. [1]" in answer.text
    for citation in answer.citations:
        span = citation.answer_span
        assert answer.text[span.start : span.end] == f"[{citation.index}]"
    assert answer.finish.reason == pb.FINISH_REASON_STOP
    assert answer.finish.model.backend == "extractive"
    assert not answer.finish.HasField("degradation")
    assert answer.finish.usage.completion_tokens == 0
    assert 0 < answer.finish.timing.total_ms < milliseconds


async def test_generate_twice_gives_the_same_answer(service: Any) -> None:
    async with service() as running:
        answers = [await running.answer(request()) for _ in range(2)]
    assert answers[0].text == answers[1].text


async def test_generate_with_the_embed_service_gone_goes_by_words_and_says_so(service: Any, free_port: Any) -> None:
    async with service(embed_target=f"127.0.0.1:{free_port}") as running:
        twins = [pb.Passage(text=f"The bridge was opened in {month} 1937.", score=0.5) for month in ("May", "June")]
        answer = await running.answer(request(passages=twins))
        metrics = running.app.registry
        labels = {"fallback": "lexical", "reason": "unavailable"}
        assert metrics.get_sample_value("trivium_generate_fallbacks_total", labels) == 1
    assert "May 1937" in answer.text
    assert answer.finish.degradation == degradation_pb2.Degradation(
        stage=degradation_pb2.STAGE_EMBED,
        reason=degradation_pb2.DEGRADATION_REASON_UNAVAILABLE,
        fallback="lexical",
    )


async def test_generate_in_mode_model_without_a_model_is_refused(service: Any) -> None:
    async with service() as running:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await running.answer(request(mode=pb.GENERATE_MODE_MODEL))
    error = error_from_rpc(raised.value)
    assert isinstance(error, FailedPrecondition)
    assert error.reason == "NO_MODEL"
    assert "TRIVIUM_GENERATE_MODEL" in error.message


@pytest.mark.parametrize(
    ("changes", "kind", "field"),
    [
        ({"question": " "}, InvalidField, "question"),
        ({"question": "q" * 8193}, TooLarge, "question"),
        ({"passages": []}, InvalidField, "passages"),
        ({"passages": PASSAGES[:1] * 101}, TooLarge, "passages"),
        ({"passages": [pb.Passage(text="p" * 16385)]}, TooLarge, "passages[0].text"),
        ({"passages": [pb.Passage(text="p" * 16384)] * 17}, TooLarge, "passages"),
        ({"history": [message_pb2.Message(role=message_pb2.ROLE_USER)] * 65}, TooLarge, "history"),
        ({"history": [message_pb2.Message(content="no role")]}, InvalidField, "history[0].role"),
        ({"sampling": pb.Sampling(max_tokens=0)}, InvalidField, "sampling.max_tokens"),
        ({"sampling": pb.Sampling(max_tokens=131073)}, InvalidField, "sampling.max_tokens"),
        ({"sampling": pb.Sampling(temperature=2.5)}, InvalidField, "sampling.temperature"),
        ({"sampling": pb.Sampling(top_p=0)}, InvalidField, "sampling.top_p"),
        ({"mode": 9}, InvalidField, "mode"),
    ],
)
async def test_generate_over_a_limit_names_the_field(service: Any, changes: Any, kind: Any, field: Any) -> None:
    async with service() as running:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await running.answer(request(**changes))
    error = error_from_rpc(raised.value)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert type(error) is kind
    assert error.field == field
    trailers = dict(raised.value.trailing_metadata())
    info = error_details_pb2.ErrorInfo()
    status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details[0].Unpack(info)
    assert info.domain == "trivium.generate.v1"


async def test_get_model_without_a_model_says_none(service: Any) -> None:
    async with service() as running:
        response = await running.stub.GetModel(pb.GetModelRequest())
        health: Any = health_pb2_grpc.HealthStub(running.channel)
        served = await health.Check(health_pb2.HealthCheckRequest(service="trivium.generate.v1.GenerateService"))
        model = await health.Check(health_pb2.HealthCheckRequest(service="trivium.generate.v1.GenerateService/model"))
    assert response.state == pb.MODEL_STATE_NONE
    assert response.model.backend == "extractive"
    assert response.detail
    assert served.status == health_pb2.HealthCheckResponse.SERVING
    assert model.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_generate_over_capacity_is_refused_at_once(service: Any) -> None:
    async with service(max_extractive_requests=1) as running:
        with running.app.extractive_places.admit(1), pytest.raises(grpc.aio.AioRpcError) as raised:
            await running.answer(request())
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "grpc-retry-pushback-ms" in dict(raised.value.trailing_metadata())


async def test_generate_with_messages_answers_the_last_one(service: Any) -> None:
    messages = [
        message_pb2.Message(role=message_pb2.ROLE_SYSTEM, content="Be brief."),
        message_pb2.Message(role=message_pb2.ROLE_USER, content=QUESTION),
    ]
    async with service() as running:
        asked = await running.answer(request())
        answer = await running.answer(request(question="", messages=messages))
    assert answer.text == asked.text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"messages": [message_pb2.Message(role=message_pb2.ROLE_USER, content="When?")]}, "question"),
        ({"question": "", "messages": [message_pb2.Message(content="When?")]}, "messages[0].role"),
        (
            {"question": "", "messages": [message_pb2.Message(role=message_pb2.ROLE_ASSISTANT, content="When?")]},
            "messages[0].role",
        ),
        (
            {
                "question": "",
                "passages": [],
                "mode": pb.GENERATE_MODE_EXTRACTIVE,
                "messages": [message_pb2.Message(role=message_pb2.ROLE_USER, content="When?")],
            },
            "passages",
        ),
        (
            {"mode": pb.GENERATE_MODE_EXTRACTIVE, "sampling": pb.Sampling(json_schema="{}")},
            "sampling.json_schema",
        ),
        ({"mode": pb.GENERATE_MODE_EXTRACTIVE, "adapter": "legal"}, "adapter"),
    ],
)
async def test_generate_with_fields_that_do_not_go_together_names_one(service: Any, changes: Any, field: str) -> None:
    async with service() as running:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await running.answer(request(**changes))
    error = error_from_rpc(raised.value)
    assert isinstance(error, InvalidField)
    assert error.field == field


async def test_generate_with_a_schema_and_without_a_model_is_refused(service: Any) -> None:
    async with service() as running:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await running.answer(request(sampling=pb.Sampling(json_schema="{}")))
    error = error_from_rpc(raised.value)
    assert isinstance(error, FailedPrecondition)
    assert error.reason == "NO_MODEL"
