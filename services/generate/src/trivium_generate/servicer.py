"""The gRPC face of the service: converts messages to the domain and back, and nothing else."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.generate.v1 import generate_service_pb2_grpc
from trivium.type.v1 import (
    degradation_pb2,
    model_info_pb2,
    span_pb2,
    timing_pb2,
    usage_pb2,
)
from trivium_conversation.messages import logprob_messages, sampling_from, tool_call_message, tools_from, turns_from
from trivium_model_service.deadlines import deadline_of
from trivium_model_service.messages import model_info
from trivium_serving.errors import InvalidField

from trivium_generate.answer import (
    AnswerRequest,
    Delta,
    Finish,
    FinishReason,
    Mode,
    Passage,
    Role,
    Turn,
)
from trivium_generate.answering import EXTRACTIVE
from trivium_generate.rewriting import DEFAULT_QUERIES, RewriteRequest, Task
from trivium_generate.supervision import ModelState
from trivium_generate.traces import traced

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from trivium_generate.answer import Degradation, ModelDescription
    from trivium_generate.answering import Answerer
    from trivium_generate.rewriting import Rewriter
    from trivium_generate.supervision import SupervisedModel

SERVICE_NAME = "trivium.generate.v1.GenerateService"
MODEL_HEALTH_NAME = f"{SERVICE_NAME}/model"

_MODES = {
    pb.GENERATE_MODE_UNSPECIFIED: Mode.AUTO,
    pb.GENERATE_MODE_AUTO: Mode.AUTO,
    pb.GENERATE_MODE_MODEL: Mode.MODEL,
    pb.GENERATE_MODE_EXTRACTIVE: Mode.EXTRACTIVE,
}
_FINISH_REASONS = {
    FinishReason.STOP: pb.FINISH_REASON_STOP,
    FinishReason.LENGTH: pb.FINISH_REASON_LENGTH,
    FinishReason.TOOL_CALLS: pb.FINISH_REASON_TOOL_CALLS,
}
_TASKS = {
    pb.REWRITE_TASK_UNSPECIFIED: Task.STANDALONE,
    pb.REWRITE_TASK_STANDALONE: Task.STANDALONE,
    pb.REWRITE_TASK_QUERIES: Task.QUERIES,
    pb.REWRITE_TASK_PASSAGE: Task.PASSAGE,
}
_STATES = {
    ModelState.NONE: pb.MODEL_STATE_NONE,
    ModelState.LOADING: pb.MODEL_STATE_LOADING,
    ModelState.READY: pb.MODEL_STATE_READY,
    ModelState.FAILED: pb.MODEL_STATE_FAILED,
}
_STAGES = {"embed": degradation_pb2.STAGE_EMBED, "generate": degradation_pb2.STAGE_GENERATE}
_DEGRADATION_REASONS = {
    "unavailable": degradation_pb2.DEGRADATION_REASON_UNAVAILABLE,
    "timeout": degradation_pb2.DEGRADATION_REASON_TIMEOUT,
    "overloaded": degradation_pb2.DEGRADATION_REASON_OVERLOADED,
    "loading": degradation_pb2.DEGRADATION_REASON_LOADING,
}


class GenerateServicer(generate_service_pb2_grpc.GenerateServiceServicer):
    """`trivium.generate.v1.GenerateService`.

    Args:
        answerer: Writes the answers.
        rewriter: Rewrites questions.
        model: The language model; None if none is configured.
    """

    def __init__(self, answerer: Answerer, rewriter: Rewriter, model: SupervisedModel | None) -> None:
        self._answerer = answerer
        self._rewriter = rewriter
        self._model = model

    async def Generate(
        self, request: pb.GenerateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.GenerateResponse]:
        """Answers as a stream: deltas, then one finish."""
        asked = _request_from_proto(request, deadline_of(context))
        with traced(asked, self._writer(asked)) as note:
            async with aclosing(self._answerer.answer(asked)) as events:
                async for event in events:
                    note(event)
                    if isinstance(event, Delta):
                        yield pb.GenerateResponse(delta=_delta_to_proto(event))
                    else:
                        yield pb.GenerateResponse(finish=_finish_to_proto(event))

    def _writer(self, request: AnswerRequest) -> str:
        """Name of what is to answer."""
        if self._model is None or request.mode is Mode.EXTRACTIVE:
            return EXTRACTIVE.name
        return request.adapter or self._model.description.name

    async def GetModel(
        self, request: pb.GetModelRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetModelResponse:
        """Describes the model."""
        if self._model is None:
            return pb.GetModelResponse(
                model=_model_to_proto(EXTRACTIVE),
                state=pb.MODEL_STATE_NONE,
                detail="no language model is configured; answers are extractive",
            )
        return pb.GetModelResponse(
            model=_model_to_proto(self._model.description),
            state=_STATES[self._model.state],
            detail=self._model.detail,
            adapters=self._model.adapters,
        )

    async def Rewrite(
        self, request: pb.RewriteRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.RewriteResponse:
        """Rewrites a question for a search."""
        if request.task not in _TASKS:
            raise InvalidField("task", f"There is no task {request.task}. Use STANDALONE, QUERIES or PASSAGE.")
        rewriting = await self._rewriter.rewrite(
            RewriteRequest(
                request.question,
                turns_from("history", request.history),
                _TASKS[request.task],
                request.max_queries or DEFAULT_QUERIES,
                deadline_of(context),
            )
        )
        finish = rewriting.finish
        return pb.RewriteResponse(
            texts=rewriting.texts, usage=_usage_to_proto(finish), model=_model_to_proto(finish.model)
        )


def _request_from_proto(request: pb.GenerateRequest, deadline: float | None) -> AnswerRequest:
    if request.mode not in _MODES:
        raise InvalidField("mode", f"There is no mode {request.mode}. Use AUTO, MODEL or EXTRACTIVE.")
    question, history = request.question, turns_from("history", request.history)
    tool_turns: tuple[Turn, ...] = ()
    if request.messages:
        question, history, tool_turns = _conversation(request)
    return AnswerRequest(
        question=question,
        passages=tuple(Passage(passage.text, passage.title, passage.score) for passage in request.passages),
        history=history,
        sampling=sampling_from(request.sampling),
        mode=_MODES[request.mode],
        is_conversation=bool(request.messages),
        adapter=request.adapter,
        deadline=deadline,
        tools=tools_from(request.tools),
        tool_turns=tool_turns,
        standalone_question=request.standalone_question,
    )


def _conversation(request: pb.GenerateRequest) -> tuple[str, tuple[Turn, ...], tuple[Turn, ...]]:
    """The user's last message, which is the question, those before it, and the calls of tools and results after it."""
    for field in ("question", "history"):
        if getattr(request, field):
            raise InvalidField(field, f"{field} and messages are both set. Send the conversation once, as messages.")
    turns = turns_from("messages", request.messages)
    last = len(turns) - 1
    if turns[last].role not in (Role.USER, Role.TOOL):
        raise InvalidField(
            f"messages[{last}].role",
            f"The last message is the {turns[last].role.value}'s. It must be the user's, or the result of a tool.",
        )
    asked = max((number for number, turn in enumerate(turns) if turn.role is Role.USER), default=None)
    if asked is None:
        raise InvalidField("messages", "There is no message of the user's. Send the question that the tools were for.")
    for number in range(asked + 1, len(turns)):
        if turns[number].role is not Role.TOOL and not turns[number].tool_calls:
            raise InvalidField(
                f"messages[{number}]", "After the user's last message come only calls of tools and their results."
            )
    return turns[asked].content, turns[:asked], turns[asked + 1 :]


def _delta_to_proto(delta: Delta) -> pb.Delta:
    return pb.Delta(
        text=delta.text,
        citations=[
            pb.Citation(index=citation.index, answer_span=span_pb2.Span(start=citation.start, end=citation.end))
            for citation in delta.citations
        ],
        logprobs=logprob_messages(delta.logprobs, pb.TokenLogprob),
        tool_calls=map(tool_call_message, delta.tool_calls),
    )


def _finish_to_proto(finish: Finish) -> pb.Finish:
    timing = finish.timing
    return pb.Finish(
        reason=_FINISH_REASONS[finish.reason],
        usage=_usage_to_proto(finish),
        model=_model_to_proto(finish.model),
        timing=timing_pb2.Timing(
            queue_ms=timing.queue_ms,
            tokenize_ms=timing.tokenize_ms,
            compute_ms=timing.compute_ms,
            total_ms=timing.total_ms,
        ),
        degradation=_degradation_to_proto(finish.degradation) if finish.degradation else None,
        dropped_passages=finish.dropped_passages,
        removed_citation_count=finish.removed_citation_count,
        dropped_turn_count=finish.dropped_turn_count,
    )


def _usage_to_proto(finish: Finish) -> usage_pb2.Usage:
    return usage_pb2.Usage(
        prompt_tokens=finish.prompt_tokens,
        completion_tokens=finish.completion_tokens,
        is_estimated=finish.is_usage_estimated,
    )


def _degradation_to_proto(degradation: Degradation) -> degradation_pb2.Degradation:
    return degradation_pb2.Degradation(
        stage=_STAGES[degradation.stage],
        reason=_DEGRADATION_REASONS[degradation.reason],
        fallback=degradation.fallback,
        detail=degradation.detail,
    )


def _model_to_proto(model: ModelDescription) -> model_info_pb2.ModelInfo:
    return model_info(model, backend=model.backend, max_input_tokens=model.max_input_tokens)
