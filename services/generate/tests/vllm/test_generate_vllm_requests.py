"""What a request may ask of the real engine, such as JSON, seeds and adapters; and its counters."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import grpc
import psutil  # type: ignore[import-untyped]
import pytest
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.generate.v1 import generate_service_pb2_grpc
from trivium.type.v1 import message_pb2
from trivium_serving.channels import open_channel
from trivium_serving.rpc_errors import error_from_rpc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PASSAGES = [pb.Passage(text="The bridge opened in May 1937.", score=0.9), pb.Passage(text="Boats pass.", score=0.5)]
SCHEMA = {
    "type": "object",
    "properties": {
        "year": {"enum": [1936, 1937]},
        "quote": {"enum": ["see  [9] "]},
        "passages": {"type": "array", "items": {"enum": [1, 2]}, "minItems": 1, "maxItems": 2},
    },
    "required": ["year", "quote", "passages"],
    "additionalProperties": False,
}


def request(**changes: Any) -> pb.GenerateRequest:
    defaults = {"question": "When did it open?", "passages": PASSAGES, "mode": pb.GENERATE_MODE_MODEL}
    return pb.GenerateRequest(**{**defaults, **changes})


def conversation(*messages: tuple[message_pb2.Role.ValueType, str]) -> list[message_pb2.Message]:
    return [message_pb2.Message(role=role, content=content) for role, content in messages]


async def ask(service: Any, message: pb.GenerateRequest, tenant: str = "") -> tuple[str, list[pb.Delta], pb.Finish]:
    async with open_channel(service.target) as channel:
        stub: Any = generate_service_pb2_grpc.GenerateServiceStub(channel)
        responses = [
            response async for response in stub.Generate(message, timeout=60, metadata=(("x-trivium-tenant", tenant),))
        ]
    deltas = [response.delta for response in responses[:-1]]
    return "".join(delta.text for delta in deltas), deltas, responses[-1].finish


async def error_of(service: Any, message: pb.GenerateRequest) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(service, message)
    return error_from_rpc(raised.value)


async def test_vllm_with_a_schema_answers_in_json_that_nothing_alters(service: Any) -> None:
    sampling = pb.Sampling(temperature=0, max_tokens=200, json_schema=json.dumps(SCHEMA))
    text, deltas, finish = await ask(service, request(sampling=sampling))
    answer = json.loads(text)
    assert answer["year"] in (1936, 1937)
    assert answer["quote"] == "see  [9] "
    assert set(answer["passages"]) <= {1, 2}
    assert not [citation for delta in deltas for citation in delta.citations]
    assert finish.removed_citation_count == 0
    assert finish.reason == pb.FINISH_REASON_STOP


async def test_vllm_with_a_large_schema_keeps_to_it_or_names_the_field(service: Any) -> None:
    values = [f"value number {number}" for number in range(1000)]

    def under(schema: dict[str, Any]) -> pb.GenerateRequest:  # without passages it is no part of the prompt
        sampling = pb.Sampling(temperature=0, max_tokens=60, json_schema=json.dumps(schema))
        messages = conversation((message_pb2.ROLE_USER, "Which value?"))
        return request(question="", messages=messages, passages=[], sampling=sampling)

    text, _, finish = await ask(service, under({"enum": values}))
    error = await error_of(service, under({"type": "oject", "description": "x" * 10_000}))
    assert json.loads(text) in values
    assert finish.usage.prompt_tokens < 40
    assert error.field == "sampling.json_schema"


@pytest.mark.parametrize(
    "schema",
    [
        '{"type": "oject"}',
        '{"type": "object", "properties": 5}',
        '{"$ref": "#/definitions/none"}',
        '{"a": ' * 70 + "1" + "}" * 70,
    ],
)
async def test_vllm_with_a_schema_that_cannot_be_names_the_field(service: Any, schema: str) -> None:
    error = await error_of(service, request(sampling=pb.Sampling(max_tokens=8, json_schema=schema)))
    assert error.field == "sampling.json_schema"
    assert (await ask(service, request(sampling=pb.Sampling(max_tokens=2))))[0] == "The bridge opened"


async def test_vllm_gives_the_log_probabilities_of_all_tokens(service: Any) -> None:
    sampling = pb.Sampling(temperature=0, stop=[" seems"], top_logprobs=3)
    text, deltas, finish = await ask(service, request(sampling=sampling))
    written = [token for delta in deltas for token in delta.logprobs]
    assert len(written) == finish.usage.completion_tokens
    assert "".join(token.token for token in written).startswith("The bridge opened in May 1937 [1] and boats pass【2】")
    assert text.startswith("The bridge opened in May 1937 [1] and boats pass[2]")
    for token in written:
        assert len(token.top) == 3
        assert [top.logprob for top in token.top] == sorted((top.logprob for top in token.top), reverse=True)
        assert (token.top[0].token, token.top[0].logprob) == (token.token, token.logprob)
        assert token.logprob <= 0
    bare = pb.Sampling(temperature=0, max_tokens=2, top_logprobs=0)
    _, deltas, _ = await ask(service, request(sampling=bare))
    assert [len(token.top) for delta in deltas for token in delta.logprobs] == [0, 0]


async def test_vllm_with_a_seed_repeats_itself(service: Any) -> None:
    letters = json.dumps({"type": "string", "pattern": "^[a-z]{12}$"})  # of which none is likelier than another

    def sampled(seed: int) -> pb.GenerateRequest:
        return request(sampling=pb.Sampling(temperature=1, max_tokens=40, seed=seed, json_schema=letters))

    first, again, other = [(await ask(service, sampled(seed)))[0] for seed in (7, 7, 8)]
    assert first == again != other


async def test_vllm_answers_with_the_adapter_that_is_asked_for(service: Any) -> None:
    sampling = pb.Sampling(temperature=0, max_tokens=8)
    bare, _, finish = await ask(service, request(sampling=sampling))
    adapted, _, adapted_finish = await ask(service, request(sampling=sampling, adapter="legal"))
    error = await error_of(service, request(adapter="medical"))
    async with open_channel(service.target) as channel:
        stub: Any = generate_service_pb2_grpc.GenerateServiceStub(channel)
        model = await stub.GetModel(pb.GetModelRequest())
    assert bare.startswith("The bridge opened")
    assert adapted != bare
    assert adapted_finish.model.name == "legal"
    assert adapted_finish.model.fingerprint != finish.model.fingerprint
    assert model.adapters == ["legal"]
    assert (error.field, "legal" in error.message) == ("adapter", True)


async def test_vllm_goes_on_with_a_conversation_as_it_is(service: Any) -> None:
    roles = message_pb2.ROLE_SYSTEM, message_pb2.ROLE_USER
    messages = conversation((roles[0], "Be brief."), (roles[1], "When?"))
    sampling = pb.Sampling(temperature=0, max_tokens=5)
    bare, deltas, without = await ask(service, request(question="", messages=messages, passages=[], sampling=sampling))
    _, _, with_passages = await ask(service, request(question="", messages=messages, sampling=sampling))
    assert bare == "The bridge opened in May 1937 ["
    assert not deltas[0].citations
    assert without.usage.prompt_tokens < 40 < 200 < with_passages.usage.prompt_tokens


async def test_vllm_computes_the_passages_of_a_second_question_no_more(service: Any) -> None:
    passages = [
        pb.Passage(text=f"Passage {number} of this test: the bridge opened in May 1937, and boats pass.", score=0.5)
        for number in range(3)
    ]
    tokens = hits = 0.0
    for place, question in enumerate(("When did it open?", "Who passes below?", "What is not known?")):
        before = [service.metric(f"vllm:prefix_cache_{name}_total") for name in ("queries", "hits")]
        _, _, finish = await ask(
            service, request(question=question, passages=passages, sampling=pb.Sampling(max_tokens=2))
        )
        after = [service.metric(f"vllm:prefix_cache_{name}_total") for name in ("queries", "hits")]
        assert after[0] - before[0] == finish.usage.prompt_tokens
        if place:
            tokens, hits = tokens + after[0] - before[0], hits + after[1] - before[1]
    print(f"prefix cache: {hits:.0f} of {tokens:.0f} prompt tokens, {hits / tokens:.0%}")
    assert hits / tokens > 0.8
    before = service.metric("vllm:prefix_cache_hits_total")
    await ask(
        service, request(question="When did it open?", passages=passages, sampling=pb.Sampling(max_tokens=2)), "b"
    )
    assert service.metric("vllm:prefix_cache_hits_total") == before  # another tenant learns nothing of it


async def test_vllm_and_the_service_count_what_they_do(service: Any) -> None:
    names = (
        "trivium_generate_time_to_first_token_seconds_count",
        "trivium_generate_time_between_tokens_seconds_count",
        "trivium_generate_prompt_tokens_total",
        "trivium_generate_completion_tokens_total",
        "vllm:time_to_first_token_seconds_count",
        "vllm:inter_token_latency_seconds_count",
        "vllm:request_queue_time_seconds_count",
        "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total",
        "vllm:prefix_cache_queries_total",
        "vllm:request_success_total",
    )
    before = {name: service.metric(name) for name in names}
    async with open_channel(service.target) as channel:
        stub: Any = generate_service_pb2_grpc.GenerateServiceStub(channel)
        call = stub.Generate(request(sampling=pb.Sampling(temperature=0, max_tokens=400)), timeout=60)
        peak = 0.0
        async for _ in call:
            peak = peak or service.metric("vllm:kv_cache_usage_perc")
    assert not [name for name in names if service.metric(name) <= before[name]]
    assert peak > 0
    assert service.metric("vllm:num_requests_waiting") == 0
    assert service.metric("trivium_generate_model_load_seconds") > 0
    assert service.metric("trivium_generate_model_loading_seconds") == 0
    assert service.metric("trivium_generate_model_state", state="ready") == 1


@pytest.fixture(scope="module")
def speculating_service(start_service: Callable[..., Any], llama2_model: Path) -> Any:
    """A service with the model of Llama 2's files, which guesses tokens ahead."""
    speculation = {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 2}
    return start_service({"speculative_config": speculation}, model=llama2_model)


async def test_vllm_speculating_answers_in_llama_2s_format_without_its_thoughts(speculating_service: Any) -> None:
    service = speculating_service
    await service.until_ready()
    history = conversation((message_pb2.ROLE_USER, "Which bridge?"), (message_pb2.ROLE_ASSISTANT, "The red one."))
    text, deltas, finish = await ask(service, request(history=history, sampling=pb.Sampling(temperature=0)))
    error = await error_of(service, request(history=history, sampling=pb.Sampling(temperature=0, max_tokens=3)))
    assert " ".join(text.split()) == "The bridge opened in May 1937."
    assert not [citation for delta in deltas for citation in delta.citations]
    assert finish.reason == pb.FINISH_REASON_STOP
    assert finish.usage.completion_tokens == 9
    assert error.reason == "ANSWER_EMPTY"
    assert service.metric("vllm:spec_decode_num_draft_tokens_total") > 0


async def test_vllm_engine_ends_with_a_service_that_is_killed(speculating_service: Any) -> None:
    await speculating_service.until_ready()
    engine = psutil.Process(speculating_service.engine_pid())
    speculating_service.process.kill()
    assert await asyncio.to_thread(engine.wait, 10) is None  # not our child: its status is nobody's


async def test_vllm_on_sigterm_finishes_what_it_writes(service: Any) -> None:
    """The last of the session: it ends the shared service."""
    async with open_channel(service.target) as channel:
        stub: Any = generate_service_pb2_grpc.GenerateServiceStub(channel)
        responses = aiter(stub.Generate(request(sampling=pb.Sampling(temperature=0, max_tokens=300)), timeout=60))
        await anext(responses)
        service.process.terminate()
        rest = [response async for response in responses]
    assert rest[-1].finish.usage.completion_tokens == 300
    assert await asyncio.to_thread(service.process.wait, 60) == 0
