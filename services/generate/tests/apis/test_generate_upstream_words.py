"""What a failing model API says reaches the log, and nobody who asks a question or looks at the model."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from model_services.upstream_words import STATUSES, WORDS, is_logged, logged_lines, told
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium_generate.supervision import ModelState

BACKENDS = ("openai", "anthropic")


def _error(backend: str, status: int) -> Any:
    if backend == "openai":
        return {"error": {"message": WORDS, "type": "some_error", "param": None, "code": None}}
    kinds = {401: "authentication_error", 429: "rate_limit_error", 500: "api_error", 503: "overloaded_error"}
    return {"type": "error", "error": {"type": kinds.get(status, "invalid_request_error"), "message": WORDS}}


async def _told(call: Any) -> str:
    """All that a caller gets: the answer, or the error with what travels beside it."""
    try:
        return " ".join([str(one) async for one in call])
    except grpc.aio.AioRpcError as error:
        return f"{error.details()} {error.trailing_metadata()}"


def _settings(api: Any) -> dict[str, Any]:
    return {
        "api_url": api.url,
        "api_key": "sk-secret",
        "model": "test",
        "api_attempts": 1,
        "restart_pause_seconds": 60,
    }


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("status", STATUSES)
async def test_answers_failure_tells_no_caller_the_apis_words(
    service: Any, until_state: Any, backend: str, status: int, api: Any, reply: Any, ask: Any
) -> None:
    api.replies = [reply(status, _error(backend, status))]
    async with service(backend=backend, **_settings(api)) as running:
        await until_state(running, ModelState.READY)
        with logged_lines() as lines:
            answers = await _told(running.stub.Generate(ask(), metadata=(("x-request-id", "r1"),)))
            answers += await _told(running.stub.Generate(ask(mode=pb.GENERATE_MODE_AUTO)))
        model = await running.stub.GetModel(pb.GetModelRequest())
        answers += str(model)

    assert told(answers) == []
    assert api.url not in answers
    assert is_logged(lines, "r1"), lines


@pytest.mark.parametrize("backend", BACKENDS)
async def test_model_that_cannot_be_loaded_tells_nobody_the_apis_words(
    service: Any, until_state: Any, backend: str, api: Any, reply: Any
) -> None:
    api.models = reply(500, _error(backend, 500))
    with logged_lines() as lines:
        async with service(backend=backend, **_settings(api)) as running:
            await until_state(running, ModelState.FAILED)
            model = await running.stub.GetModel(pb.GetModelRequest())

    assert told(str(model)) == []
    assert api.url not in str(model)
    assert "failed with status 500" in model.detail
    assert any(WORDS in line for line in lines)
