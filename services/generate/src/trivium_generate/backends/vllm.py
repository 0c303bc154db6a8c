"""vLLM in this service's process tree: AsyncLLM here, its engine in child processes."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from trivium_serving.errors import Overloaded, Unavailable
from trivium_serving.heap import freeze_heap
from trivium_serving.request_context import request_id, tenant

from trivium_generate.answer import NO_TOOLS, AnswerRequest, FinishReason, ModelDescription
from trivium_generate.backends.base import Beginning, Calling, Ending, Piece
from trivium_generate.backends.chat import TokenizerChat
from trivium_generate.backends.pacing import Pacing
from trivium_generate.backends.vllm_engine import (
    describe,
    end_children,
    failure_to_start,
    in_daemon_thread,
    load_adapters,
    model_args,
    prepare_environment,
    start_engine,
)
from trivium_generate.backends.vllm_sampling import refusal, sampling_params, token_logprobs
from trivium_generate.backends.vllm_status import STATUS_FILE_VARIABLE, read_status
from trivium_generate.backends.vllm_tools import (
    ParsedCalls,
    RequiredCalls,
    calls_schema,
    check_tools_of,
    parser_class,
)
from trivium_generate.prompting import PromptBuilder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trivium_generate.backends.base import Output
    from trivium_generate.prompting import BuiltPrompt
    from trivium_generate.prompts import Prompt

_logger = logging.getLogger(__name__)

_WATCH_SECONDS = 0.2
_SHUTDOWN_SECONDS = 10.0
# A check of a schema with 60,000 characters takes some 35 ms, during which no other answer would go on.
_LARGE_SCHEMA_CHARS = 8192


class VllmModel:
    """A language model in vLLM.

    Args:
        model: A folder, or a name on the Hugging Face hub, which may end in `@REVISION`.
        engine_args: Further engine arguments by name; vLLM checks their values.
        adapters: Folders, or names on the hub, of LoRA adapters, by the names that requests ask for them by.
        prompts: The prompts by language.
        default_max_tokens: Most tokens of an answer if the request does not say.
        tool_parser: Name of vLLM's parser for the calls of tools that the model writes; empty for none.
    """

    concern = ""

    def __init__(
        self,
        *,
        model: str,
        engine_args: dict[str, Any],
        adapters: dict[str, str],
        prompts: dict[str, Prompt],
        default_max_tokens: int,
        tool_parser: str = "",
    ) -> None:
        lora = {"enable_lora": True} if adapters else {}
        self._engine_args = {**model_args(model), **lora, **engine_args}
        self._adapter_paths = adapters
        self._adapters: dict[str, Any] = {}  # vLLM's requests for them, by name
        self._status_folder = TemporaryDirectory(prefix="trivium-generate-")
        self._status_file = Path(self._status_folder.name) / "status"
        self._step = ""
        self._prompts = prompts
        self._default_max_tokens = default_max_tokens
        self._tool_parser_name = tool_parser
        self._tool_parser: Any = None  # vLLM's class
        self._tokenizer: Any = None
        self._engine: Any = None
        self._broken = asyncio.Event()
        self._builder: PromptBuilder | None = None
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="prompt")
        self._pacing = Pacing()
        self._context_tokens = 0
        self._begins_thinking = False
        self._thinks_before_json = False
        self._sampling_defaults: dict[str, Any] = {}
        self.description = ModelDescription(name=model, backend="vllm", runtime="vllm")

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that requests may ask for."""
        return tuple(self._adapter_paths)

    @property
    def progress(self) -> str:
        """The step of loading, and what the engine said last."""
        return ": ".join(filter(None, (self._step, read_status(self._status_file).message)))

    async def load(self) -> None:
        """Starts the engine, loads the adapters, and answers once.

        Raises:
            FailedPrecondition: An engine argument is unknown, or vLLM refuses the model, an argument or an adapter.
            Unavailable: The engine does not start, for a reason that may pass.
        """
        self._broken.clear()
        prepare_environment()
        self._status_file.unlink(missing_ok=True)
        os.environ[STATUS_FILE_VARIABLE] = str(self._status_file)
        try:
            self._tool_parser = parser_class(self._tool_parser_name)
            self._step = "starting the engine"
            self._engine = await in_daemon_thread(lambda: start_engine(self._engine_args))
            self._step = "loading adapters"
            self._adapters = await load_adapters(self._engine, self._adapter_paths)
            config = self._engine.vllm_config.model_config
            self._context_tokens = config.max_model_len
            self._sampling_defaults = config.get_diff_sampling_param()
            self._tokenizer = copy.deepcopy(self._engine.get_tokenizer())
            if self._tool_parser is not None:
                self._tool_parser(self._tokenizer)  # some refuse the tokenizer of another family
            chat = TokenizerChat(copy.deepcopy(self._engine.get_tokenizer()))
            self._builder, self._begins_thinking = PromptBuilder(chat, self._prompts), chat.begins_thinking
            self._thinks_before_json = _thinks_before_json(self._engine.vllm_config.structured_outputs_config)
            self.description = describe(self.description.name, config)
            self._step = "warming up"
            await self._warm_up()
            freeze_heap()
            self._step = ""
        # The edge of another program: vLLM raises whatever its parts raise, and each has to end in FAILED, not in a
        # supervisor that is gone.
        except Exception as error:
            raise failure_to_start(error, read_status(self._status_file)) from error

    async def generate(self, request: AnswerRequest) -> AsyncGenerator[Output, None]:
        """Writes an answer; closing the generator aborts it in the engine."""
        begin = time.perf_counter()
        check_tools_of(request, self._tool_parser)
        calls = self._calls_of(request)
        with self._pacing.writing():
            prompt, params = await self._prepare(request)
            if calls is not None and calls.keeps_special_tokens:
                params.skip_special_tokens = False
            yield Beginning(
                len(prompt.token_ids),
                prompt.dropped_passages,
                (time.perf_counter() - begin) * 1e3,
                prompt.dropped_turn_count,
                self._begins_thinking and (self._thinks_before_json or not _is_json(request)),
            )
            written, last, first_at, calling = 0, None, 0.0, False
            async with aclosing(self._outputs(prompt.token_ids, params, request)) as outputs:
                async for last in outputs:
                    completion = last.outputs[0]
                    first_at = first_at or time.perf_counter()
                    written += len(completion.token_ids)
                    logprobs = token_logprobs(completion, request.sampling.top_logprobs)
                    text = completion.text
                    if calls is not None:
                        text = calls.feed(text, list(completion.token_ids))
                        if calls.has_begun and not calling:
                            calling = True
                            yield Calling()
                    yield Piece(text, len(completion.token_ids), logprobs)
        if last is None or last.outputs[0].finish_reason not in ("stop", "length"):
            raise Unavailable("The model's engine stopped the answer. Try again.")
        self._pacing.wrote(written - 1, time.perf_counter() - first_at)
        reason = FinishReason.LENGTH if last.outputs[0].finish_reason == "length" else FinishReason.STOP
        if calls is not None and reason is FinishReason.STOP:
            rest, whole = calls.finish()
            if rest:
                yield Piece(rest, 0)
            if whole:
                reason = FinishReason.TOOL_CALLS
                yield Piece("", 0, tool_calls=whole)
        yield Ending(
            reason=reason,
            completion_tokens=written,
            queue_ms=_queue_ms(last),
        )

    async def wait_until_broken(self) -> str:
        """Returns when the engine's processes are gone."""
        while not self._engine.errored:
            with suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_SECONDS):
                    await self._broken.wait()
                    break
        return "the engine's process died"

    async def close(self) -> None:
        """Ends the engine and all of its processes, also one that is still starting."""
        engine, self._engine, self._builder = self._engine, None, None
        if engine is not None:
            if engine.output_handler is not None:
                engine.output_handler.cancel()  # or it logs the end of its engine as an error
            await asyncio.to_thread(engine.shutdown, timeout=_SHUTDOWN_SECONDS)
        await asyncio.to_thread(end_children)

    def _calls_of(self, request: AnswerRequest) -> ParsedCalls | RequiredCalls | None:
        """What reads the calls of tools out of an answer that may have some."""
        if not request.tools.may_be_called:
            return None
        if request.tools.are_required:
            return RequiredCalls()
        return ParsedCalls(self._tool_parser, self._tokenizer, request.tools)

    async def _warm_up(self) -> None:
        request = AnswerRequest(question="", passages=())
        params = sampling_params(request.sampling, {}, max_tokens=1, tokens_per_piece=1)
        async with aclosing(self._outputs([0], params, request)) as outputs:
            async for _ in outputs:
                pass

    async def _prepare(self, request: AnswerRequest) -> tuple[BuiltPrompt, Any]:
        if self._builder is None:
            raise Unavailable("The model's engine is down. Try again soon.")
        wanted = request.sampling.max_tokens or self._default_max_tokens
        # An answer as long as the context would leave no room for what it is to be made from.
        room = max(self._context_tokens - wanted, self._context_tokens // 2)
        loop = asyncio.get_running_loop()
        if not request.tools.may_be_called:  # what a model is not shown it does not call
            request = replace(request, tools=NO_TOOLS)
        prompt = await loop.run_in_executor(self._tokenizing, self._builder.build, request, room)
        max_tokens = min(wanted, self._context_tokens - len(prompt.token_ids))
        schema = calls_schema(request.tools) or request.sampling.json_schema
        return prompt, sampling_params(
            replace(request.sampling, json_schema=schema),
            self._sampling_defaults,
            max_tokens,
            self._pacing.tokens_per_piece(),
        )

    async def _outputs(self, token_ids: list[int], params: Any, request: AnswerRequest) -> AsyncGenerator[Any, None]:
        """The engine's outputs, its errors as ours."""
        from vllm.exceptions import MaxQueuedTokensError, QueueOverflowError, VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        name = f"{request_id() or 'warm-up'}-{uuid.uuid4().hex[:8]}"
        prompt: dict[str, Any] = {"prompt_token_ids": token_ids}
        if tenant():  # how soon the first token comes must not tell one what another has asked about
            prompt["cache_salt"] = tenant()
        schemas = sum(len(tool.parameters) for tool in request.tools.definitions if request.tools.are_required)
        if len(request.sampling.json_schema) + schemas < _LARGE_SCHEMA_CHARS:
            # Without a type it goes through a thread of vLLM's: a detour, unless the check of the schema takes long.
            prompt["type"] = "token"
        adapter = self._adapters.get(request.adapter)
        engine = self._engine
        if engine is None:  # it broke while the prompt was built
            raise Unavailable("The model's engine is down. Try again soon.")
        try:
            async with aclosing(engine.generate(prompt, params, name, lora_request=adapter)) as outputs:
                async for output in outputs:
                    yield output
        except EngineDeadError as error:
            self._broken.set()
            raise Unavailable("The model's engine died. It is being restarted; try again soon.") from error
        except EngineGenerateError as error:
            _logger.error("the engine failed on one request", exc_info=error)
            raise Unavailable("The model's engine failed on this request. Try again.") from error
        except (QueueOverflowError, MaxQueuedTokensError) as error:
            raise Overloaded("The model's queue is full. Try again shortly.") from error
        except VLLMClientError as error:
            schema = "tools.definitions" if request.tools.are_required else "sampling.json_schema"
            raise refusal(error, schema if _is_json(request) else "sampling") from error


def _is_json(request: AnswerRequest) -> bool:
    """Whether the engine holds the model to a schema."""
    return bool(request.sampling.json_schema) or request.tools.are_required


def _thinks_before_json(config: Any) -> bool:
    """Whether the engine lets a model think before it holds it to a schema: only if it knows the marks of thinking."""
    return bool(config.reasoning_parser) and not config.enable_in_reasoning


def _queue_ms(output: Any) -> float:
    stats = output.metrics
    return max(0.0, (stats.scheduled_ts - stats.queued_ts) * 1e3) if stats is not None else 0.0
