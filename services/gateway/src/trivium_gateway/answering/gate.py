"""Asks two indexes of a collection the same questions, and says whether the new one finds less."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from trivium_serving.errors import TriviumError

from trivium_gateway.answering.weighing import leg_weights
from trivium_gateway.domain.comparison import IndexComparison
from trivium_gateway.domain.ids import canonical_id
from trivium_gateway.domain.readers import whole
from trivium_gateway.library.eval_sets import labelled_questions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from trivium_gateway.library.chunks import ChunkStore
    from trivium_gateway.library.feedback import FeedbackStore
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.library.search import ChunkSearch
    from trivium_gateway.models.embed import EmbedClient

__all__ = ["IndexGate"]

_MADE, _LABELLED = 150, 200
_LARGEST_DOCUMENT = 200
"""Pieces: the text of a larger document is not read for one question."""
_CANDIDATES = 50
_PLACES = 10
_RESAMPLES = 2_000
_TIMEOUT_SECONDS = 10.0
_SENTENCE = re.compile(r"[^.!?。！？\n]+")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+")
_FEWEST_WORDS, _MOST_WORDS, _LEFT_OUT = 8, 40, 1 / 3


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question, and the documents that answer it."""

    text: str
    relevant: frozenset[str]


class IndexGate:
    """Needs no labels: questions are made of the documents themselves, each of a sentence without its rarest words.

    Those flatter the search by words, in both indexes alike. Where people have said which documents answer a question,
    that is asked as well.

    Args:
        embed: Embeds questions, by the model of either index.
        chunk_search: Searches them.
        chunks: Have the documents.
        feedback: What people have said of answers.
    """

    def __init__(
        self, embed: EmbedClient, chunk_search: ChunkSearch, chunks: ChunkStore, feedback: FeedbackStore
    ) -> None:
        self._embed = embed
        self._chunk_search = chunk_search
        self._chunks = chunks
        self._feedback = feedback

    async def begin(self, before: ResolvedCollection, after: ResolvedCollection) -> IndexTrial:
        """Choose the questions; the same ones as long as documents and feedback are the same.

        Args:
            before: The index that answers.
            after: The new one.

        Raises:
            TriviumError: The documents or the feedback cannot be read.
        """
        made = _made(await self._texts(before))
        labelled = await self._labelled(before)
        return IndexTrial(self, before, after, made, labelled)

    async def score(self, collection: ResolvedCollection, asked: _Asked) -> float:
        """The nDCG@10 of the documents that an index finds for a question.

        Raises:
            TriviumError: It cannot be asked.
        """
        reader = whole(collection.tenant)
        embed = await self._embed.of(collection.embedded_by)
        embedded = None
        try:
            embedded = await embed.embed_query(
                asked.text,
                reader=reader,
                expected_fingerprint=collection.embedded_by,
                learned=collection.made.learned,
                timeout_seconds=_TIMEOUT_SECONDS,
            )
        except TriviumError as error:
            if error.reason != "MODEL_CHANGED":
                raise
            # Nobody runs the model any more: it is what its users have of it.
        found = await self._chunk_search.search(
            collection,
            vector=embedded.vector if embedded else None,
            learned=embedded.learned if embedded else None,
            text=asked.text,
            limit=_CANDIDATES,
            timeout_seconds=_TIMEOUT_SECONDS,
            reader=reader,
            weights=leg_weights(embedded, collection.settings.now.settings),
        )
        ranked = list(dict.fromkeys(canonical_id(one.chunk.document_id) for one in found.candidates))[:_PLACES]
        gain = sum(1 / math.log2(place + 2) for place, one in enumerate(ranked) if one in asked.relevant)
        return gain / sum(1 / math.log2(place + 2) for place in range(min(len(asked.relevant), _PLACES)))

    async def _texts(self, collection: ResolvedCollection) -> dict[str, str]:
        """The texts of a piece of each of some documents: they are ordered by hashes, so that the first are any."""
        reader, chance = whole(collection.tenant), random.Random(0)
        heads, _ = await self._chunks.page_of_heads(collection, offset="", limit=_MADE, reader=reader)
        texts = {}
        for head in heads:
            if head.chunk_count <= _LARGEST_DOCUMENT:
                read = await self._chunks.read_versions(collection, [head.version], collection.tenant)
                if chunks := read.get(head.version):
                    texts[canonical_id(head.document_id)] = chance.choice(chunks).text
        return texts

    async def _labelled(self, collection: ResolvedCollection) -> list[_Asked]:
        said = [one for one in await self._feedback.all(collection.tenant) if one.collection == collection.name]
        questions = [one for one in labelled_questions(said) if one.relevant][-_LABELLED:]
        stored = await self._chunks.versions(
            collection, sorted({document for one in questions for document in one.relevant}), collection.tenant
        )
        there = {canonical_id(one) for one in stored}
        asked = [_Asked(one.text, frozenset(one.relevant) & there) for one in questions]
        return [one for one in asked if one.relevant]


class IndexTrial:
    """A comparison that goes on over several calls.

    Args:
        gate: Asks the questions.
        before: The index that answers.
        after: The new one.
        made: Questions that were made of documents.
        labelled: Questions whose documents people have named.
    """

    def __init__(
        self,
        gate: IndexGate,
        before: ResolvedCollection,
        after: ResolvedCollection,
        made: Sequence[_Asked],
        labelled: Sequence[_Asked],
    ) -> None:
        self._gate = gate
        self._before, self._after = before, after
        self._made_count, self._labelled_count = len(made), len(labelled)
        self._left = [*labelled, *made]
        self._scores: list[tuple[float, float]] = []

    async def go_on(self, until: float, clock: Callable[[], float]) -> bool:
        """Ask until some time; whether all is asked."""
        while self._left:
            asked = self._left[-1]
            before, after = await self._gate.score(self._before, asked), await self._gate.score(self._after, asked)
            self._scores.append((before, after))
            self._left.pop()
            if clock() >= until and self._left:
                return False
        return True

    def result(self) -> IndexComparison:
        """What it has shown."""
        scores = np.asarray(self._scores or [(0.0, 0.0)])
        low, high = _interval(scores[:, 1] - scores[:, 0])
        before, after = scores.mean(axis=0)
        return IndexComparison(
            self._before.made.model,
            self._after.made.model,
            self._made_count,
            self._labelled_count,
            float(before),
            float(after),
            low,
            high,
        )


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Where 95% of the means of resampled questions lie (paired bootstrap, percentiles)."""
    drawn = np.random.default_rng(0).choice(differences, (_RESAMPLES, len(differences)))
    low, high = np.quantile(drawn.mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def _made(texts: dict[str, str]) -> list[_Asked]:
    frequencies = Counter(word for text in texts.values() for word in set(_words(text)))
    chance = random.Random(0)
    asked = ((document, _question_of(text, frequencies, chance)) for document, text in texts.items())
    return [_Asked(question, frozenset((document,))) for document, question in asked if question]


def _question_of(text: str, frequencies: Counter[str], chance: random.Random) -> str:
    """A sentence without its rarest words, which would give the document away; empty if none is long enough."""
    sentences = [words for words in map(_words, _SENTENCE.findall(text)) if len(words) >= _FEWEST_WORDS]
    if not sentences:
        return ""
    words = chance.choice(sentences)[:_MOST_WORDS]
    rarest = sorted(range(len(words)), key=lambda place: (frequencies[words[place]], place))
    left_out = set(rarest[: round(len(words) * _LEFT_OUT)])
    return " ".join(word for place, word in enumerate(words) if place not in left_out)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
