"""Texts to vectors."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from trivium_encoders.coding import Coding
from trivium_encoders.description import Family
from trivium_encoders.errors import EncoderFailed
from trivium_encoders.late_chunking import PartedText, stretches
from trivium_encoders.loading import Engine, EngineOwner, load_engine, text_items
from trivium_encoders.options import EncoderOptions, Priority, Role
from trivium_encoders.pooling import TextHead, own_token_layers, read_layer_beside
from trivium_encoders.punctuation import punctuation_ids
from trivium_encoders.runtimes.base import Item, Source
from trivium_encoders.sparse_vectors import LexicalHead, SparseVector
from trivium_encoders.token_codes import CodeForm
from trivium_encoders.tokenization import PlacedTokens


@dataclass(frozen=True, slots=True)
class Encoded:
    """The vectors of some texts, and where the time went."""

    vectors: NDArray[np.float32]
    """`[texts, dimension]`, C-contiguous, in the order of the texts."""
    token_counts: list[int]
    """Tokens of each text as the model read it: prompt and special tokens included, after cutting."""
    tokenize_seconds: float
    """Time spent tokenising, waiting for a thread included."""
    queue_seconds: float
    """Time until the first of the texts was being computed."""
    compute_seconds: float
    """Time from then until the last was done."""
    token_codes: list[bytes] | None = None
    """One per text (`token_codes`), where they were asked for."""
    sparse: list[SparseVector] | None = None
    """One per text, where they were asked for and the model weighs tokens."""


class TextEncoder(EngineOwner):
    """A sentence embedding model, loaded and warm. Made by `load`."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._overhead_tokens = engine.tokenizer.overhead(engine.description.prompts.document)
        self._punctuation = punctuation_ids(engine.tokenizer)
        layers = own_token_layers(engine.description)
        self._token_layer = layers[0] if layers else None
        self._lexical = _lexical_head(engine)

    @classmethod
    async def load(cls, options: EncoderOptions, *, registry: CollectorRegistry, service: str) -> "TextEncoder":
        """Loads and warms a model; converts it first when the cache does not have it.

        Args:
            options: Which model, and how to run it.
            registry: Where the encoder's metrics are registered; one encoder per registry and service.
            service: The owning service; prefixes the metrics' names, as in `trivium_embed_batch_texts`.

        Raises:
            ModelNotFound, ModelDamaged, ModelUnsupported, ConversionFailed: The model cannot be served.
        """

        engine = await load_engine(options, output=Family.TEXT, head=TextHead, registry=registry, service=service)
        return cls(engine)

    @property
    def overhead_tokens(self) -> int:
        """Tokens that are added to every document: special tokens and the document prompt."""
        return self._overhead_tokens

    async def encode(
        self,
        texts: Sequence[str],
        *,
        role: Role = Role.DOCUMENT,
        truncate: bool = False,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
        codes: CodeForm | None = None,
        sparse: bool = False,
    ) -> Encoded:
        """Embeds texts. Cancelling the awaiting task takes the work out of the queue.

        Args:
            texts: The texts; none gives an empty result.
            role: What they are for; decides the prompt.
            truncate: Cut a text that is too long instead of refusing the call.
            priority: Which waiting work goes first.
            deadline: In seconds on the event loop's clock (`loop.time()`); work that still waits then is dropped.
            codes: In which form to give the vectors of the texts' tokens as well, from the same forward pass; None for
                none. A model without a `token_fingerprint` has none to give.
            sparse: Whether to give learned sparse vectors as well, from the same forward pass. A model without a
                `sparse_fingerprint` has none to give.

        Raises:
            InputTooLong: A text is too long and `truncate` is false; names the first such text.
            DeadlineExpired: The deadline passed before all texts were being computed.
            EncoderFailed: A text could not be computed even alone.
            EncoderUnavailable: The worker died; try again.
            EncoderClosed: `close` was called.
        """
        items, tokenize_seconds = await text_items(self._engine, texts, role=role, truncate=truncate, priority=priority)
        coded = codes is not None and bool(self.info.token_fingerprint)
        if codes is not None and coded:
            coding = Coding(codes, self.info.token_fingerprint, self._punctuation, self._token_layer)
            items = [dataclasses.replace(item, coding=coding) for item in items]
        lexical = self._lexical if sparse else None
        if lexical:
            items = [dataclasses.replace(item, lexical=lexical) for item in items]
        if not items:
            return Encoded(np.empty((0, self.info.dimension), np.float32), [], tokenize_seconds, 0.0, 0.0)
        done = await self._engine.batcher.run(items, priority=priority, deadline=deadline)
        return Encoded(
            vectors=np.stack([result.values for result in done.results]),
            token_counts=[item.length for item in items],
            tokenize_seconds=tokenize_seconds,
            queue_seconds=done.queue_seconds,
            compute_seconds=done.compute_seconds,
            token_codes=[code for result in done.results for code in result.codes] if coded else None,
            sparse=[result.sparse for result in done.results if result.sparse is not None] if lexical else None,
        )

    async def encode_parts(
        self,
        texts: Sequence[PartedText],
        *,
        priority: Priority = Priority.BULK,
        deadline: float | None = None,
        codes: CodeForm | None = None,
    ) -> Encoded:
        """Embeds the parts of documents that are read whole (`late_chunking`), by a model with `info.pools_parts`.

        Args:
            texts: The documents, each with at least one part.
            priority, deadline, codes: As for `encode`.

        Returns:
            A vector, and a code, for each part: those of the first text, then those of the next. `token_counts` has how
            many tokens were computed for each text; what stretches share is counted in each.

        Raises:
            InputTooLong: A part is longer than the model reads; names its text.
            EncoderError: As for `encode`.
        """
        described = self._engine.description
        prompt = described.prompts.document
        unpooled = 0 if described.pools_prompt else self._engine.tokenizer.pooled_from(prompt)
        coding = None
        if codes is not None and self.info.token_fingerprint:
            coding = Coding(codes, self.info.token_fingerprint, self._punctuation, self._token_layer)

        def tokenize(piece: Sequence[str]) -> list[PlacedTokens]:
            return self._engine.tokenizer.placed(piece, prompt=prompt)

        whole = [text.text for text in texts]
        placed, tokenize_seconds = await self._engine.tokenized(whole, tokenize, priority)
        items, owners = [], []
        for index, (text, tokens) in enumerate(zip(texts, placed, strict=True)):
            made = stretches(index, text, tokens, unpooled=unpooled, max_tokens=self.info.max_tokens)
            owners += [index] * len(made)
            source = Source(text.text, Role.DOCUMENT)
            items += [Item(one.tokens, source, unpooled, coding, one.parts) for one in made]
        try:
            done = await self._engine.batcher.run(items, priority=priority, deadline=deadline)
        except EncoderFailed as error:
            raise EncoderFailed(owners[error.index], str(error)) from error
        counts = [0] * len(texts)
        for owner, item in zip(owners, items, strict=True):
            counts[owner] += item.length
        return Encoded(
            vectors=np.concatenate([result.values for result in done.results]),
            token_counts=counts,
            tokenize_seconds=tokenize_seconds,
            queue_seconds=done.queue_seconds,
            compute_seconds=done.compute_seconds,
            token_codes=[code for result in done.results for code in result.codes] if coding else None,
        )

    async def tokenize(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """Says where tokens start: ascending offsets in code points per text, without prompt and special tokens."""
        starts, _ = await self._engine.tokenized(texts, self._engine.tokenizer.starts, Priority.BULK)
        return starts

    async def read_shares(self, texts: Sequence[str]) -> list[float]:
        """Says what share of each text's letters the model can read, from 0 to 1 (`readability`)."""
        shares, _ = await self._engine.tokenized(texts, self._engine.tokenizer.read_shares, Priority.INTERACTIVE)
        return shares


def _lexical_head(engine: Engine) -> LexicalHead | None:
    path = engine.description.lexical_linear
    if path is None or not engine.info.sparse_fingerprint:
        return None
    layer = read_layer_beside(path)
    assert layer.bias is not None  # `read_layer_beside` asks for it
    return LexicalHead(layer.weight[0], float(layer.bias[0]), engine.tokenizer.special_ids)
