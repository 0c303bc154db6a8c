"""Judges a model in fewer bits against the same model in fp32, on what would be served: the same tokenizer and head."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trivium_encoders.description import Family, ModelDescription
from trivium_encoders.options import Role
from trivium_encoders.pooling import Head, ScoreHead, TextHead, TokenHead
from trivium_encoders.quality import SCORE_LIMITS, VECTOR_LIMITS, Limit, score_numbers, vector_numbers
from trivium_encoders.quality_texts import QualityTexts
from trivium_encoders.reading import TextReader
from trivium_encoders.runtimes.base import Item, Runtime, Source
from trivium_encoders.tokenization import TextTokenizer, read_tokenizer

JUDGE_VERSION = 1
"""Raise it when the texts that come along, or the limits, change, so that no older verdict is read."""

_PASSAGES_PER_QUERY = 4  # pairs of a calibration
_MOST_QUERIES = 16
_MOST_PASSAGES = 40
"""Pairs that a cross-encoder is judged by: 640, about a minute of a large one on one core."""


class JudgedModel:
    """Texts as a model reads them, and what its results are compared by.

    Args:
        model: The model.
        output: What is served of it.
        max_tokens: Longest input in tokens.
    """

    def __init__(self, model: ModelDescription, output: Family, max_tokens: int) -> None:
        self._tokenizer: TextTokenizer = read_tokenizer(model, max_tokens)
        self._reader = TextReader(model, self._tokenizer)
        self._output = output
        self._model = model

    @property
    def head(self) -> Head:
        """What follows the transformer."""
        heads: dict[Family, type[TextHead | TokenHead | ScoreHead]] = {
            Family.TEXT: TextHead,
            Family.TOKEN: TokenHead,
            Family.PAIR: ScoreHead,
        }
        return heads[self._output](self._model)

    def calibration(self, texts: QualityTexts) -> list[Item]:
        """What a calibration sees: the texts, or each query with the passages that stand near it in the file."""
        if self._output is not Family.PAIR:
            return self._all(texts)
        step = len(texts.passages) / len(texts.queries)
        doubled = texts.passages * 2
        return [
            item
            for at, query in enumerate(texts.queries)
            for item in self._pairs(query, doubled[int(at * step) : int(at * step) + _PASSAGES_PER_QUERY])
        ]

    def compare(
        self, original: Runtime, candidate: Runtime, texts: QualityTexts, *, at_a_time: int = 1
    ) -> tuple[dict[str, float], dict[str, Limit]]:
        """The numbers that tell the candidate from the original, and their limits.

        Args:
            original: The model in fp32.
            candidate: The same model in fewer bits.
            texts: What they are compared on.
            at_a_time: Texts of a batch. One has no padding to blur what differs; a GPU needs more.
        """
        runtimes = (original, candidate)
        if self._output is Family.PAIR:
            passages = texts.passages[:_MOST_PASSAGES]
            rows = [self._pairs(query, passages) for query in texts.queries[:_MOST_QUERIES]]
            scores = [
                np.array([np.concatenate(_computed(runtime, row, at_a_time)) for row in rows]) for runtime in runtimes
            ]
            return score_numbers(scores[0], scores[1]), SCORE_LIMITS
        items = self._all(texts)
        results = [_computed(runtime, items, at_a_time) for runtime in runtimes]
        if self._output is Family.TOKEN:
            compared = [self._reader.compared(item) for item in items]
            results = [[matrix[one] for matrix, one in zip(matrices, compared, strict=True)] for matrices in results]
        return vector_numbers(results[0], results[1], len(texts.queries)), VECTOR_LIMITS

    def _all(self, texts: QualityTexts) -> list[Item]:
        """Every text, queries first."""
        queries = self._reader.read(texts.queries, Role.QUERY, truncate=True)
        return queries + self._reader.read(texts.passages, Role.DOCUMENT, truncate=True)

    def _pairs(self, query: str, passages: Sequence[str]) -> list[Item]:
        """A query with each of some passages."""
        made = self._tokenizer.encode_pairs(query, passages)
        return [Item(ids, Source(text, Role.DOCUMENT, query=query)) for ids, text in zip(made, passages, strict=True)]


def _computed(runtime: Runtime, items: Sequence[Item], at_a_time: int) -> list[NDArray[np.float32]]:
    session = runtime.open_session()
    starts = range(0, len(items), at_a_time)
    return [result.values for start in starts for result in session.run(items[start : start + at_a_time])]
