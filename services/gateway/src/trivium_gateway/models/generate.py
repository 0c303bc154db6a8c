"""Calls the generate service."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing, suppress
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

import grpc
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.generate.v1.generate_service_pb2_grpc import GenerateServiceStub
from trivium_conversation.messages import tools_message, turn_message
from trivium_conversation.sampling import DEFAULT_SAMPLING
from trivium_conversation.tools import NO_TOOLS
from trivium_conversation.turns import Role, Turn
from trivium_serving.channels import outgoing_metadata

from trivium_gateway.domain.conversation import AnswerMode
from trivium_gateway.domain.limits import is_blank
from trivium_gateway.models.generate_answers import Rewritten, end_from, model_from, text_from
from trivium_gateway.models.upstream import blame, broken_answer, upstream_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from trivium_conversation.sampling import Sampling
    from trivium_conversation.tools import Tools
    from trivium_serving.errors import TriviumError

    from trivium_gateway.domain.passages import Passage
    from trivium_gateway.models.generate_answers import GeneratedEnd, GeneratedText, GenerateModel
    from trivium_gateway.models.written_answers import AskedFor, WrittenAnswers

FULL_NAME = pb.DESCRIPTOR.services_by_name["GenerateService"].full_name
MODEL_HEALTH_NAME = f"{FULL_NAME}/model"

_MODES = {
    AnswerMode.AUTO: pb.GENERATE_MODE_AUTO,
    AnswerMode.MODEL: pb.GENERATE_MODE_MODEL,
    AnswerMode.EXTRACTIVE: pb.GENERATE_MODE_EXTRACTIVE,
}
_CONNECTING = (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING)
_CONNECT_SECONDS = 0.3
# Fields of a request that hold what our own caller sent.
_CALLERS_FIELDS = ("question", "history", "tool_turns", "sampling", "tools")
_MESSAGE = re.compile(r"messages\[(\d+)\](.*)")


class RewriteTask(Enum):
    """What a question is rewritten as."""

    STANDALONE = pb.REWRITE_TASK_STANDALONE
    QUERIES = pb.REWRITE_TASK_QUERIES
    PASSAGE = pb.REWRITE_TASK_PASSAGE


class GenerateClient:
    """The generate service, as the gateway uses it.

    Args:
        channel: To the service, all of its replicas.
        model_channel: To those of them that have their language model now: ready while there are any. They get the
            questions then; else all of them do, which answer by other means.
        written: Remembers what it wrote; None to remember nothing.
    """

    def __init__(
        self, channel: grpc.aio.Channel, model_channel: grpc.aio.Channel, written: WrittenAnswers | None = None
    ) -> None:
        self._written = written
        self._model_identity = ""
        self._stub = GenerateServiceStub(channel)
        self._model_channel = model_channel
        self._model_stub = GenerateServiceStub(model_channel)

    async def generate(
        self,
        question: str,
        passages: Sequence[Passage],
        *,
        history: Sequence[Turn],
        mode: AnswerMode,
        sampling: Sampling = DEFAULT_SAMPLING,
        tools: Tools = NO_TOOLS,
        tool_turns: Sequence[Turn] = (),
        standalone_question: str = "",
        asked: AskedFor | None = None,
        timeout_seconds: float,
    ) -> AsyncGenerator[GeneratedText | GeneratedEnd, None]:
        """Has an answer written; ends with one GeneratedEnd. Closing the iterator cancels the call.

        Args:
            question: The question; not blank.
            passages: The evidence, most relevant first. Without any the conversation goes to the language model as it
                is, without instructions about evidence.
            history: Earlier turns, oldest first.
            mode: By which means.
            sampling: How to sample.
            tools: What the language model may call.
            tool_turns: Its calls since the question, and their results, oldest first.
            standalone_question: The question as it can be understood without the history; empty if it is the same.
            asked: For whom, so that it may be what was written for them before; None to have it written anew.
            timeout_seconds: How long the whole answer may take.

        Raises:
            TriviumError: The call failed, or ended early.
        """
        request = pb.GenerateRequest(
            passages=[
                pb.Passage(text=one.chunk.readable_text, title=one.chunk.title, score=one.score) for one in passages
            ],
            mode=_MODES[mode],
            sampling=_sampling(sampling),
            tools=tools_message(tools),
            standalone_question=standalone_question,
        )
        if passages and not tool_turns:
            request.question = question
            request.history.extend(map(turn_message, history))
        else:
            turns = (*history, Turn(Role.USER, question), *tool_turns)
            request.messages.extend(map(turn_message, turns))
        if self._written is None or asked is None:
            answer = self._written_anew(request, len(history), timeout_seconds)
        else:
            asked = replace(asked, model=self._model_identity)
            answer = self._written.through(
                asked, request, lambda: self._written_anew(request, len(history), timeout_seconds)
            )
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                yield piece

    async def _written_anew(
        self, request: pb.GenerateRequest, history_length: int, timeout_seconds: float
    ) -> AsyncGenerator[GeneratedText | GeneratedEnd, None]:
        finished = begun = False
        # One replica with its model, if there is any.
        for stub in (self._model_stub, self._stub) if self._has_model() else (self._stub,):
            call = stub.Generate(request, timeout=timeout_seconds, metadata=outgoing_metadata())
            try:
                async for response in call:
                    begun = True
                    if response.HasField("finish"):
                        finished = True
                        yield end_from(response.finish)
                    else:
                        yield text_from(response.delta)
                break
            except grpc.aio.AioRpcError as error:
                if finished:
                    return
                # The last one with a model may just have lost it: then any other answers as well as it can.
                if begun or stub is self._stub or error.code() is not grpc.StatusCode.UNAVAILABLE:
                    failure = _in_callers_words(upstream_error("generate", error), history_length)
                    raise blame("generate", failure, _CALLERS_FIELDS) from error
            finally:
                call.cancel()  # does nothing to a call that has ended
        if not finished:
            raise broken_answer("generate", "stops before its end")

    @property
    def means(self) -> str:
        """By which means it writes now, if it may choose; see Paces."""
        return "generate" if self._has_model() else "extract"

    def _has_model(self) -> bool:
        return self._model_channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY

    async def has_model(self) -> bool:
        """Whether any replica has its language model now. Connects first, if need be, which takes a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CONNECT_SECONDS):
                while (state := self._model_channel.get_state(try_to_connect=True)) in _CONNECTING:
                    await self._model_channel.wait_for_state_change(state)
        return self._has_model()

    async def rewrite(
        self, question: str, history: Sequence[Turn], task: RewriteTask, *, timeout_seconds: float
    ) -> Rewritten:
        """Has the language model rewrite a question for a search.

        Args:
            question: The question; not blank.
            history: Earlier turns, oldest first.
            task: What to make of it.
            timeout_seconds: How long it may take.

        Raises:
            TriviumError: The call failed, or the model wrote nothing to search for.
        """
        request = pb.RewriteRequest(question=question, history=map(turn_message, history), task=task.value)
        try:
            response = await self._model_stub.Rewrite(request, timeout=timeout_seconds, metadata=outgoing_metadata())
        except grpc.aio.AioRpcError as error:
            raise upstream_error("generate", error) from error
        texts = tuple(text for text in response.texts if not is_blank(text))
        if not texts:
            raise broken_answer("generate", "rewrites a question as nothing")
        return Rewritten(texts, response.usage.prompt_tokens, response.usage.completion_tokens)

    async def model(self, *, timeout_seconds: float) -> GenerateModel:
        """Describes the model.

        Raises:
            TriviumError: The call failed.
        """
        try:
            response = await self._stub.GetModel(pb.GetModelRequest(), timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise upstream_error("generate", error) from error
        self._model_identity = f"{response.model.name} {response.model.fingerprint}"
        return model_from(response)


def _in_callers_words(error: TriviumError, history_length: int) -> TriviumError:
    """An error that names the caller's own field where the service names one of the messages made from it."""
    if message := _MESSAGE.fullmatch(error.field or ""):
        number, rest = int(message[1]), message[2]
        if number < history_length:
            error.field = f"history[{number}]{rest}"
        elif number > history_length:
            error.field = f"tool_turns[{number - history_length - 1}]{rest}"
        else:
            error.field = "question"
    return error


def _sampling(sampling: Sampling) -> pb.Sampling:
    return pb.Sampling(
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed,
        stop=sampling.stop,
        json_schema=sampling.json_schema,
        top_logprobs=sampling.top_logprobs,
    )
