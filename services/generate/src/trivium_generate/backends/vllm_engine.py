"""vLLM's engine: starts it with its adapters, says what it runs or why it does not start, and ends its processes."""

from __future__ import annotations

import asyncio
import dataclasses
import difflib
import hashlib
import json
import multiprocessing
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from trivium_serving.errors import FailedPrecondition, TriviumError, Unavailable, chain_of

from trivium_generate.answer import ModelDescription

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trivium_generate.backends.vllm_status import EngineStatus

# Read by vLLM and what it uses when they are imported; an operator's own values win.
_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # this process has threads and gRPC, which do not survive a fork
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "TOKENIZERS_PARALLELISM": "false",
}
_TERMINATE_SECONDS = 2.0
_CHANNEL_FORMATS = {"gpt_oss"}

# Names of exceptions, since those of an engine process arrive as names.
_OF_SETTINGS = {
    "ValueError", "TypeError", "KeyError", "AttributeError", "NotImplementedError", "AssertionError", "ImportError",
    "FileNotFoundError", "NotADirectoryError", "PermissionError", "RepositoryNotFoundError", "GatedRepoError",
}  # fmt: skip
_NOT_FOUND = {"RepositoryNotFoundError", "GatedRepoError"}
_PASSING = {"ConnectionError", "TimeoutError", "TransportError", "HTTPError", "HfHubHTTPError", "MemoryError"}


def prepare_environment() -> None:
    """Sets what vLLM reads from the environment, where the operator has not."""
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})


def start_engine(arguments: dict[str, Any]) -> Any:
    """Builds AsyncLLM; blocks until the model is loaded.

    Raises:
        FailedPrecondition: vLLM has no such argument.
        Exception: Whatever else vLLM finds.
    """
    from vllm.v1.engine.async_llm import AsyncLLM

    class Engine(AsyncLLM):  # type: ignore[misc]  # vLLM is not where mypy looks
        def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
            if not is_finalizing():  # else what it would call is gone
                super().__del__()

    engine_args = build_engine_args(arguments)
    refuse_other_formats(engine_args.create_model_config())
    return Engine.from_engine_args(engine_args)


def refuse_other_formats(model_config: Any) -> None:
    """Refuses, before anything large is loaded, a model whose thinking would be taken for its answer.

    Raises:
        FailedPrecondition: It writes in a format of channels (gpt-oss's harmony) and not between marks of thinking.
    """
    kind = str(getattr(model_config.hf_config, "model_type", ""))
    if kind in _CHANNEL_FORMATS:
        raise FailedPrecondition(
            f"TRIVIUM_GENERATE_MODEL is a {kind} model, which writes its thoughts and its answer in channels that this "
            "backend does not read. Serve it with `vllm serve`, and set backend openai and TRIVIUM_GENERATE_API_URL to "
            "that server, or choose another model."
        )


def build_engine_args(arguments: dict[str, Any]) -> Any:
    """vLLM's AsyncEngineArgs from engine arguments by name.

    Raises:
        FailedPrecondition: vLLM has no such argument; names the nearest.
    """
    from vllm import AsyncEngineArgs

    known = {field.name: field.type for field in dataclasses.fields(AsyncEngineArgs)}
    for name in arguments:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise FailedPrecondition(f"TRIVIUM_GENERATE_ENGINE_ARGS: vLLM has no engine argument {name}{hint}")
    return AsyncEngineArgs(**{name: _as_config(known[name], value) for name, value in arguments.items()})


def _as_config(hint: Any, value: Any) -> Any:
    """A JSON object as the configuration class that vLLM has in its place, if it has one."""
    if isinstance(value, dict):
        for kind in (hint, *get_args(hint)):
            if isinstance(kind, type) and dataclasses.is_dataclass(kind):
                return kind(**value)
    return value


def failure_to_start(error: Exception, status: EngineStatus) -> TriviumError:
    """The domain error for an engine that did not start: FailedPrecondition if only another setting would help.

    Args:
        error: What was raised in this process.
        status: What the engine's own process told; its error is nearer to the cause.
    """
    if isinstance(error, TriviumError):
        return error
    kinds = set(status.error_kinds) or {kind.__name__ for link in chain_of(error) for kind in type(link).__mro__}
    cause = f"{status.error.rstrip('.')}." if status.error else f"{type(error).__name__}: {_summary(error)}"
    # Memory is also short while an engine before this one gives its own back.
    passes = (bool(kinds & _PASSING) and not kinds & _NOT_FOUND) or "memory" in cause.lower()
    if kinds & _OF_SETTINGS and not passes:
        return FailedPrecondition(
            f"vLLM does not start: {cause} Correct TRIVIUM_GENERATE_MODEL, TRIVIUM_GENERATE_ENGINE_ARGS or "
            "TRIVIUM_GENERATE_ADAPTERS, and start the service again."
        )
    return Unavailable(f"vLLM does not start: {cause} The log has more.")


async def in_daemon_thread(call: Callable[[], Any]) -> Any:
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
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="vllm load", daemon=True).start()
    return await future


def end_children() -> None:
    """Ends the engine processes that are left; no other part of this service has child processes."""
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    for child in children:
        child.join(_TERMINATE_SECONDS)
        if child.is_alive():
            child.kill()
            child.join()


def _summary(error: Exception) -> str:
    """The part of a message that says what is wrong: pydantic puts a headline before it."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    if len(lines) > 1 and "validation error" in lines[0]:
        lines = [line.partition(" [type=")[0] for line in lines[1:] if not line.startswith("For further information")]
    return " ".join(lines[:2])[:300].rstrip(".") + "."


def model_args(model: str) -> dict[str, Any]:
    """The engine arguments that say which model it is, and at which revision of the hub."""
    name, _, revision = model.partition("@")
    if not revision or Path(model).exists():
        return {"model": model}
    return {"model": name, "revision": revision, "tokenizer_revision": revision}


async def load_adapters(engine: Any, paths: Mapping[str, str]) -> dict[str, Any]:
    """Loads LoRA adapters.

    Args:
        engine: vLLM's engine.
        paths: Folders, or names on the hub, by the adapters' names.

    Returns:
        vLLM's requests for them, by name.

    Raises:
        FailedPrecondition: One cannot be loaded.
    """
    if not paths:
        return {}
    from vllm.lora.request import LoRARequest

    adapters: dict[str, Any] = {}
    for number, (name, path) in enumerate(paths.items(), start=1):
        adapter = LoRARequest(name, number, path)
        try:
            await engine.add_lora(adapter)
        # vLLM sends what went wrong in its own process as a bare exception.
        except Exception as error:
            problem = str(error).strip().partition("\n")[0]
            raise FailedPrecondition(
                f"The adapter {name} at {path} cannot be loaded: {problem} Correct TRIVIUM_GENERATE_ADAPTERS, and "
                "start the service again."
            ) from error
        adapters[name] = adapter
    return adapters


def describe(name: str, config: Any) -> ModelDescription:
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
