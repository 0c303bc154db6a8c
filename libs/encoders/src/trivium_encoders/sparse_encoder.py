"""Texts to learned sparse vectors, by a model that makes nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from trivium_encoders.description import Family
from trivium_encoders.errors import ModelDamaged
from trivium_encoders.loading import Engine, EngineOwner, load_engine, text_items
from trivium_encoders.options import EncoderOptions, Priority, Role
from trivium_encoders.pooling import TextHead
from trivium_encoders.sparse_vectors import SparseVector, largest_of_each
from trivium_encoders.tokenization import TextTokenizer
from trivium_encoders.weights import read_tensors


@dataclass(frozen=True, slots=True)
class SparseEncoded:
    """The learned sparse vectors of some texts, and where the time went."""

    vectors: list[SparseVector]
    """One per text, in the order of the texts."""
    tokenize_seconds: float
    """Time spent tokenising, waiting for a thread included."""
    queue_seconds: float
    """Time until the first of the texts was being computed."""
    compute_seconds: float
    """Time from then until the last was done."""


class SparseTextEncoder(EngineOwner):
    """A `SparseEncoder` of sentence-transformers, run by that itself, loaded and warm. Made by `load`.

    A model that has a table for queries reads them with that alone: no forward pass, and no waiting for one.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        layout = engine.description.sparse
        self._table = _QueryTable(engine, layout.query_table) if layout and layout.query_table else None

    @classmethod
    async def load(cls, options: EncoderOptions, *, registry: CollectorRegistry, service: str) -> "SparseTextEncoder":
        """Loads and warms a model; arguments and errors as for `TextEncoder.load`."""
        engine = await load_engine(options, output=Family.SPARSE, head=TextHead, registry=registry, service=service)
        return cls(engine)

    async def encode(
        self,
        texts: Sequence[str],
        *,
        role: Role = Role.DOCUMENT,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
    ) -> SparseEncoded:
        """Weighs the words of texts; what is longer than the model reads is cut.

        Args:
            texts: The texts.
            role: What they are for.
            priority: Which waiting work goes first.
            deadline: In seconds on the event loop's clock (`loop.time()`); work that still waits then is dropped.

        Raises:
            DeadlineExpired, EncoderFailed, EncoderUnavailable, EncoderClosed: As for `TextEncoder.encode`.
        """
        if role is Role.QUERY and self._table:
            vectors, seconds = await self._engine.tokenized(texts, self._table.read, priority)
            return SparseEncoded(vectors, seconds, 0.0, 0.0)
        items, seconds = await text_items(self._engine, texts, role=role, truncate=True, priority=priority)
        if not items:
            return SparseEncoded([], seconds, 0.0, 0.0)
        done = await self._engine.batcher.run(items, priority=priority, deadline=deadline)
        vectors = [result.sparse for result in done.results if result.sparse is not None]
        return SparseEncoded(vectors, seconds, done.queue_seconds, done.compute_seconds)


class _QueryTable:
    """The weight of each token of a query, however often it occurs."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._prompt = engine.description.prompts.query
        path = folder / "model.safetensors"
        try:
            self._weights = read_tensors(path, {"weight"})["weight"]
        except (OSError, KeyError, ValueError) as error:
            raise ModelDamaged(f"the table {path} cannot be read ({error!r}); fetch the model again") from error
        own, most = folder / "tokenizer.json", engine.info.max_tokens
        self._tokenizer = TextTokenizer.from_file(own, max_tokens=most) if own.is_file() else engine.tokenizer
        self._most = most + self._tokenizer.overhead("")

    def read(self, texts: Sequence[str]) -> list[SparseVector]:
        """One vector per text."""
        made = self._tokenizer.encode(texts, prompt=self._prompt, truncate=True, max_tokens=self._most)
        words = [tokens.ids[~tokens.special] for tokens in made]
        return [largest_of_each(ids, self._weights[ids]) for ids in words]
