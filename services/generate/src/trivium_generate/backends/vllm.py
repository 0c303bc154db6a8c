"""vLLM in this service's process tree: AsyncLLM here, its engine in child processes."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import difflib
import hashlib
import json
import logging
import multiprocessing
import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from trivium_serving.errors import FailedPrecondition, InvalidField, Overloaded, TriviumError, Unavailable
from trivium_serving.request_context import request_id

from trivium_generate.answer import FinishReason, ModelDescription
from trivium_generate.backends.base import Beginning, Ending, Piece
from trivium_generate.backends.chat import TokenizerChat
from trivium_generate.prompting import PromptBuilder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from trivium_generate.answer import AnswerRequest, Sampling
    from trivium_generate.backends.base import Output
    from trivium_generate.prompting import BuiltPrompt
    from trivium_generate.prompts import Prompt

_logger = logging.getLogger(__name__)

_WATCH_SECONDS = 0.2
_SHUTDOWN_SECONDS = 10.0
_TERMINATE_SECONDS = 2.0
# Read by vLLM and what it uses when they are imported; an operator's own values win.
_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # this process has threads and gRPC, which do not survive a fork
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "TOKENIZERS_PARALLELISM": "false",
}


class VllmModel:
    """A language model in vLLM.

    Args:
        model: A folder, or a name on the Hugging Face hub.
        engine_args: Further engine arguments by name; vLLM checks their values.
        prompts: The prompts by language.
        default_max_tokens: Most tokens of an answer if the request does not say.
    """

    def __init__(
        self, *, model: str, engine_args: dict[str, Any], prompts: dict[str, Prompt], default_max_tokens: int
    ) -> None:
        self._engine_args = {"model": model, **engine_args}
        self._prompts = prompts
        self._default_max_tokens = default_max_tokens
        self._engine: Any = None
        self._broken = asyncio.Event()
        self._builder: PromptBuilder | None = None
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="prompt")
        self._context_tokens = 0
        self._sampling_defaults: dict[str, Any] = {}
        self.description = ModelDescription(name=model, backend="vllm", runtime="vllm")

    async def load(self) -> None:
        """Starts the engine and answers once.

        Raises:
            FailedPrecondition: An engine argument is unknown, or vLLM refuses the model or an argument.
        """
        self._broken.clear()
        os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})
        try:
            self._engine = await _in_daemon_thread(lambda: _start_engine(self._engine_args))
        except TriviumError:
            raise
        # The edge of another program: vLLM raises whatever its parts raise, and each has to end in FAILED, not in a
        # supervisor that is gone.
        except Exception as error:
            first_line = str(error).strip().partition("\n")[0]
            raise FailedPrecondition(f"vLLM does not start: {type(error).__name__}: {first_line}") from error
        config = self._engine.vllm_config.model_config
        self._context_tokens = config.max_model_len
        self._sampling_defaults = config.get_diff_sampling_param()
        self._builder = PromptBuilder(TokenizerChat(copy.deepcopy(self._engine.get_tokenizer())), self._prompts)
        self.description = _describe(self.description.name, config)
        await self._warm_up()

    async def generate(self, request: AnswerRequest) -> AsyncGenerator[Output, None]:
        """Writes an answer; closing the generator aborts it in the engine."""
        begin = time.perf_counter()
        prompt, sampling_params = await self._prepare(request)
        yield Beginning(len(prompt.token_ids), prompt.dropped_passages, (time.perf_counter() - begin) * 1e3)
        written, last = 0, None
        async with aclosing(self._outputs(prompt.token_ids, sampling_params)) as outputs:
            async for last in outputs:
                completion = last.outputs[0]
                written += len(completion.token_ids)
                yield Piece(completion.text, len(completion.token_ids))
        if last is None or last.outputs[0].finish_reason not in ("stop", "length"):
            raise Unavailable("The model's engine stopped the answer. Try again.")
        yield Ending(
            reason=FinishReason.LENGTH if last.outputs[0].finish_reason == "length" else FinishReason.STOP,
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
        await asyncio.to_thread(_end_children)

    async def _warm_up(self) -> None:
        from vllm import SamplingParams

        async with aclosing(self._outputs([0], SamplingParams(max_tokens=1))) as outputs:
            async for _ in outputs:
                pass

    async def _prepare(self, request: AnswerRequest) -> tuple[BuiltPrompt, Any]:
        if self._builder is None:
            raise Unavailable("The model's engine is down. Try again soon.")
        wanted = request.sampling.max_tokens or self._default_max_tokens
        # An answer as long as the context would leave no room for what it is to be made from.
        room = max(self._context_tokens - wanted, self._context_tokens // 2)
        loop = asyncio.get_running_loop()
        prompt = await loop.run_in_executor(self._tokenizing, self._builder.build, request, room)
        max_tokens = min(wanted, self._context_tokens - len(prompt.token_ids))
        return prompt, _sampling_params(request.sampling, self._sampling_defaults, max_tokens)

    async def _outputs(self, token_ids: list[int], sampling_params: Any) -> AsyncGenerator[Any, None]:
        """The engine's outputs, its errors as ours."""
        from vllm.exceptions import MaxQueuedTokensError, QueueOverflowError, VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        name = f"{request_id() or 'warm-up'}-{uuid.uuid4().hex[:8]}"
        try:
            async with aclosing(
                self._engine.generate({"type": "token", "prompt_token_ids": token_ids}, sampling_params, name)
            ) as outputs:
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
            raise InvalidField("sampling", f"The model does not accept the request: {error}") from error


def _start_engine(arguments: dict[str, Any]) -> Any:
    """Builds AsyncLLM; blocks until the model is loaded."""
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    known = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    for name in arguments:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise FailedPrecondition(f"TRIVIUM_GENERATE_ENGINE_ARGS: vLLM has no engine argument {name}{hint}")
    return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))


def _sampling_params(sampling: Sampling, defaults: dict[str, Any], max_tokens: int) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    chosen = {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": sampling.seed}
    return SamplingParams(
        **{
            **defaults,
            **{name: value for name, value in chosen.items() if value is not None},
            "max_tokens": max_tokens,
            "stop": list(sampling.stop),
            "output_kind": RequestOutputKind.DELTA,
        }
    )


def _queue_ms(output: Any) -> float:
    stats = output.metrics
    return max(0.0, (stats.scheduled_ts - stats.queued_ts) * 1e3) if stats is not None else 0.0


def _describe(name: str, config: Any) -> ModelDescription:
    """The description of a loaded model.

    The fingerprint covers name, revision, architecture and chat template: hashing hundreds of gigabytes of weights at
    each start is out of the question, and generated text is never compared by it.
    """
    identity = json.dumps([name, config.revision, config.hf_config.to_json_string(use_diff=True)], sort_keys=True)
    return ModelDescription(
        name=name,
        backend="vllm",
        runtime="vllm",
        precision=str(config.dtype).removeprefix("torch."),
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        max_input_tokens=config.max_model_len,
    )


async def _in_daemon_thread(call: Callable[[], Any]) -> Any:
    """Runs a blocking call in a thread that does not keep the process alive: loading takes minutes, a stop must not."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.cancelled():
            if result is not None:
                result.shutdown()
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def run() -> None:
        result, failure = None, None
        try:
            result = call()
        except BaseException as error:  # belongs to whoever awaits the future
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="vllm load", daemon=True).start()
    return await future


def _end_children() -> None:
    """Ends the engine processes that are left; no other part of this service has child processes."""
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    for child in children:
        child.join(_TERMINATE_SECONDS)
        if child.is_alive():
            child.kill()
            child.join()
