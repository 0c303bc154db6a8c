"""From options to a model that runs: what all families of encoders share."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry

import trivium_encoders.privacy  # noqa: F401 - before any library that reports
from trivium_encoders.batcher import Batcher
from trivium_encoders.cores import usable_core_count
from trivium_encoders.crew import CrewPlan
from trivium_encoders.description import Family, ModelDescription, describe
from trivium_encoders.digests import DigestCache
from trivium_encoders.errors import EncoderClosed, InputTooLong, ModelUnsupported
from trivium_encoders.fingerprint import fingerprint, lexical_fingerprint, token_fingerprint
from trivium_encoders.late_chunking import pools_parts
from trivium_encoders.metrics import EncoderMetrics
from trivium_encoders.options import EncoderInfo, EncoderOptions, Priority, Role
from trivium_encoders.pooling import Head
from trivium_encoders.quality_texts import OWN_TEXTS
from trivium_encoders.quantization import int8_fingerprint
from trivium_encoders.reading import TextReader
from trivium_encoders.resolution import resolve
from trivium_encoders.runtimes.base import ExpressRuntime, Item, Runtime, Source
from trivium_encoders.runtimes.choice import RuntimeChoice
from trivium_encoders.tokenization import TextTokenizer, read_tokenizer

_log = logging.getLogger(__name__)

_TOKENIZE_CHUNK = 64
_TOKENIZE_AT_ONCE_CHARACTERS = 300
_RANGES = {
    "budget_tokens": range(16, (1 << 20) + 1),
    "express_tokens": range((1 << 20) + 1),
    "workers": range(1025),
    "max_length": range((1 << 20) + 1),
}


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to open sessions."""

    description: ModelDescription
    info: EncoderInfo
    tokenizer: TextTokenizer
    reader: TextReader
    runtime: Runtime


class Engine:
    """A loaded model with its batcher and its threads for tokenising."""

    def __init__(self, loaded: Loaded, batcher: Batcher, metrics: EncoderMetrics, thread_count: int) -> None:
        self.description = loaded.description
        self.info = loaded.info
        self.tokenizer = loaded.tokenizer
        self.reader = loaded.reader
        self.batcher = batcher
        self._metrics = metrics
        self._closed = False
        # One pool per class, so that a question never waits for the texts of a bulk load.
        self._threads = {
            priority: ThreadPoolExecutor(max_workers=thread_count, thread_name_prefix=f"tokenize-{priority.value}")
            for priority in Priority
        }

    async def tokenized(
        self, texts: Sequence[str], tokenize: Callable[[Sequence[str]], list[T]], priority: Priority
    ) -> tuple[list[T], float]:
        """Tokenises texts: a few characters here and now, which takes less time than a change of threads, and more in a
        thread, in pieces, so that a short call is not stuck behind a long one.

        Args:
            texts: The texts.
            tokenize: Tokenises a piece of them.
            priority: The class of the call.

        Returns:
            What `tokenize` makes of the texts, in order, and how many seconds that took.
        """
        if self._closed:
            raise EncoderClosed("the encoder is closed")
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        made: list[T] = []
        if sum(map(len, texts)) <= _TOKENIZE_AT_ONCE_CHARACTERS:
            made = tokenize(texts)
            texts = ()
        for start in range(0, len(texts), _TOKENIZE_CHUNK):
            made += await loop.run_in_executor(
                self._threads[priority], tokenize, texts[start : start + _TOKENIZE_CHUNK]
            )
        seconds = time.monotonic() - started
        self._metrics.tokenize_seconds.observe(seconds)
        return made, seconds

    async def close(self) -> None:
        """Closes the batcher and ends the threads."""
        self._closed = True
        await self.batcher.close()
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)


class EngineOwner:
    """What all encoders that say of a model what their engine says have in common."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def info(self) -> EncoderInfo:
        """The model's description."""
        return self._engine.info

    @property
    def healthy(self) -> bool:
        """Whether all workers are alive. Turns false when one dies, true again when its replacement is warm."""
        return self._engine.batcher.healthy

    async def close(self) -> None:
        """Fails what still waits, lets running batches end, and frees the workers."""
        await self._engine.close()


async def load_engine(
    options: EncoderOptions,
    *,
    output: Family,
    head: Callable[[ModelDescription], Head],
    registry: CollectorRegistry,
    service: str,
) -> Engine:
    """Loads a model and starts its workers.

    Args:
        options: Which model, and how.
        output: What is wanted of the model: its own output, or token vectors of a sentence embedding model.
        head: Makes what follows the transformer, for a model that does not need its own modules.
        registry: Where metrics are registered.
        service: The owning service.

    Cancelling the awaiting task ends a conversion that is under way.
    """
    for name, allowed in _RANGES.items():
        if getattr(options, name) not in allowed:
            raise ValueError(f"{name} is {getattr(options, name)}; it must be from {allowed[0]} to {allowed[-1]}")
    started = time.monotonic()
    worker_count = options.workers or usable_core_count()
    abandoned = threading.Event()
    try:
        loaded = await asyncio.to_thread(_load, options, output, head, worker_count, abandoned)
    except asyncio.CancelledError:
        abandoned.set()  # ends a conversion at once; the thread would be waited for when the process ends
        raise
    thread_count = max(2, worker_count)  # a GPU has one session, and needs as many tokenizers as ever
    worker_count = min(worker_count, loaded.runtime.session_limit)
    metrics = EncoderMetrics(service, registry)
    tokens = loaded.tokenizer.encode(["warm"], prompt="", truncate=True)[0]
    probe = Item(tokens, Source("warm", Role.DOCUMENT, query="warm"))
    runtime = loaded.runtime
    open_express = runtime.open_express_session if isinstance(runtime, ExpressRuntime) else None
    if not options.express_tokens:
        open_express = None
    plan = CrewPlan(
        runtime.open_session,
        worker_count,
        probe,
        f"{service}-encoder",
        open_express=open_express,
    )
    batcher = Batcher(
        plan,
        budget_tokens=options.budget_tokens * runtime.budget_factor,
        express_tokens=options.express_tokens if open_express else 0,
        metrics=metrics,
    )
    await batcher.start()
    metrics.describe(loaded.info)
    _log.info(
        "model %s is ready on %s %s with %d workers after %.2f s",
        *(loaded.info.name, loaded.info.runtime, loaded.info.precision, worker_count, time.monotonic() - started),
    )
    return Engine(loaded, batcher, metrics, thread_count=thread_count)


async def text_items(
    engine: Engine, texts: Sequence[str], *, role: Role, truncate: bool, priority: Priority
) -> tuple[list[Item], float]:
    """Tokenises texts for the model.

    Returns:
        One item per text, and how many seconds that took.

    Raises:
        InputTooLong: A text is too long and `truncate` is false; names the first such text.
    """

    def tokenize(piece: Sequence[str]) -> list[Item]:
        return engine.reader.read(piece, role, truncate=truncate)

    items, seconds = await engine.tokenized(texts, tokenize, priority)
    limit = engine.reader.limit(role)
    for index, item in enumerate(items):
        if item.length > limit:
            raise InputTooLong(index, item.length, limit)
    return items, seconds


def _load(
    options: EncoderOptions,
    output: Family,
    make_head: Callable[[ModelDescription], Head],
    session_count: int,
    abandoned: threading.Event,
) -> Loaded:
    model = describe(resolve(options.model))
    if model.family is not output and (model.family, output) != (Family.TEXT, Family.TOKEN):
        raise ModelUnsupported(
            f"model {model.name} is a {_FAMILY_NAMES[model.family]}, not a {_FAMILY_NAMES[output]}; choose another"
        )
    max_tokens = min(options.max_length or model.max_tokens, model.max_tokens)
    runtime = RuntimeChoice(model, options, output, make_head, session_count, max_tokens, abandoned).make()
    tokenizer = read_tokenizer(model, max_tokens)
    reader = TextReader(model, tokenizer)
    cache = DigestCache(options.cache_dir / "digests")
    exact = fingerprint(model, max_tokens=max_tokens, dimension=runtime.dimension, cache=cache)
    exact_tokens = exact if model.family is Family.TOKEN else ""
    if model.family is Family.TEXT and not model.obstacle_to(output):
        exact_tokens = token_fingerprint(model, max_tokens=max_tokens, cache=cache)
    exact_sparse = exact if model.family is Family.SPARSE else ""
    if output is Family.TEXT and not model.obstacle_to(output):
        exact_sparse = lexical_fingerprint(model, max_tokens=max_tokens, cache=cache)

    def served(identity: str) -> str:
        return int8_fingerprint(identity, options.int8_texts or OWN_TEXTS) if runtime.precision == "int8" else identity

    info = EncoderInfo(
        name=model.name,
        fingerprint=served(exact),
        runtime=runtime.name,
        precision=runtime.precision,
        dimension=runtime.dimension,
        normalized=model.normalized,
        max_tokens=max_tokens,
        token_fingerprint=served(exact_tokens) if exact_tokens else "",
        pools_parts=model.family is output is Family.TEXT and pools_parts(model),
        sparse_fingerprint=served(exact_sparse) if exact_sparse else "",
    )
    return Loaded(model, info, tokenizer, reader, runtime)


_FAMILY_NAMES = {
    Family.TEXT: "sentence embedding model",
    Family.PAIR: "cross-encoder",
    Family.TOKEN: "late-interaction model",
    Family.SPARSE: "learned sparse model",
}
