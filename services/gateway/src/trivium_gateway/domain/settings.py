"""How a collection is searched and judged, where that is not as the gateway does it otherwise."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from trivium_lexical import LANGUAGES
from trivium_serving.errors import InvalidField

from trivium_gateway.domain.answerability import Refusal
from trivium_gateway.domain.limits import GatewayLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_EARLIER = 10
"""So many earlier versions of a collection's settings are kept."""
LATE = "late"
"""What stands in an index's chunking if its pieces are embedded by late chunking."""
MAX_NOTE_CHARACTERS = 500
"""Longest note on a change, in code points."""

_STEEPEST = 100.0


class Quantisation(StrEnum):
    """How vectors are kept to be searched, beside themselves."""

    OFF = "off"
    SCALAR = "scalar"
    """With a byte for each number."""
    BINARY = "binary"
    """With a bit for each number."""


@dataclass(frozen=True, slots=True)
class CollectionSettings:
    """What can be set; None leaves it to the gateway.

    Attributes:
        dense_weight: How much the vectors count in the search, from 0, not at all and not searched by, to 1.
        sparse_weight: How much the words do, likewise.
        learned_weight: How much learned sparse vectors do, likewise.
        rerank_weight: How much late interaction counts beside the search, from 0, where nothing is reranked, to 4. A
            cross-encoder decides alone unless this is 0.
        candidates: How many candidates the search hands to the reranker where a request does not say it.
        section_characters: How much of the section that a passage stands in is read with it, in code points; 0 for the
            piece that was found alone.
        score_slope: What the log-odds of a calibrated score are multiplied by; more than 0, so that the order stays.
        score_intercept: What is added to that.
        confidence_slope: The same of the confidence of an answer.
        confidence_intercept: What is added to that.
        refuse_below: The confidence below which a question is about something else altogether.
        mark_below: The confidence below which its answer is not stated.
        refusal: What becomes of a question that the documents hardly answer where it does not say so itself.
        quantisation: How the vectors are kept to be searched, beside themselves.
        rescore: Whether what quantised vectors find is judged again by the vectors as they are; None for yes.
        on_disk: Whether the vectors are kept on the disk and not in memory.
        language: The code of the language of texts and questions in which nothing tells, as keywords and tables; None
            for English. Words are so from the next reindexing on.
        chunk_tokens: Longest piece of a document, in tokens of the embedding model. Documents are cut so from then on;
            those that are there by a reindexing.
        chunk_overlap_tokens: About how many tokens of a piece the next one repeats, at most a quarter of those.
        late_chunking: Whether documents are read whole, and each piece gets the mean of what the embedding model made
            of its tokens there; not if it is open. What is there follows by a reindexing.
        learned_sparse: Whether to search by learned sparse vectors, too; not if it is open. It takes a reindexing.
        retention_days: After how many days without being written again a document is deleted; None for never.
    """

    dense_weight: float | None = None
    sparse_weight: float | None = None
    rerank_weight: float | None = None
    candidates: int | None = None
    section_characters: int | None = None
    score_slope: float | None = None
    score_intercept: float | None = None
    confidence_slope: float | None = None
    confidence_intercept: float | None = None
    refuse_below: float | None = None
    mark_below: float | None = None
    refusal: Refusal | None = None
    language: str | None = None
    chunk_tokens: int | None = None
    chunk_overlap_tokens: int | None = None
    late_chunking: bool | None = None
    learned_sparse: bool | None = None
    learned_weight: float | None = None
    retention_days: int | None = None
    quantisation: Quantisation | None = None
    rescore: bool | None = None
    on_disk: bool | None = None

    def over(self, other: CollectionSettings) -> CollectionSettings:
        """These, and where they leave something open, others."""
        return replace(other, **self.given())

    def given(self) -> dict[str, Any]:
        """Those that are set, by their names."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}

    @property
    def is_quantised(self) -> bool:
        """Whether vectors are searched in a smaller form."""
        return self.quantisation not in (None, Quantisation.OFF)

    @property
    def storage(self) -> tuple[Quantisation, bool]:
        """How vectors are kept: their smaller form, and whether they themselves are on the disk."""
        return self.quantisation or Quantisation.OFF, bool(self.on_disk)

    @property
    def chunking(self) -> str:
        """How documents are cut, where the collection says it itself: for comparing, and to keep with an index."""
        if self.chunk_tokens is self.chunk_overlap_tokens is None and not self.late_chunking:
            return ""
        return json.dumps([self.chunk_tokens, self.chunk_overlap_tokens, *([LATE] if self.late_chunking else [])])

    @property
    def weight_of_dense(self) -> float:
        """How much the vectors count."""
        return 1.0 if self.dense_weight is None else self.dense_weight

    @property
    def weight_of_sparse(self) -> float:
        """How much the words count."""
        return 1.0 if self.sparse_weight is None else self.sparse_weight

    @property
    def weight_of_learned(self) -> float:
        """How much learned sparse vectors count."""
        return 1.0 if self.learned_weight is None else self.learned_weight

    @property
    def weight_of_rerank(self) -> float:
        """How much the reranker counts."""
        return 1.0 if self.rerank_weight is None else self.rerank_weight

    def scaled_score(self, probability: float) -> float:
        """A passage's score by the collection's own scale."""
        return _scaled(probability, self.score_slope, self.score_intercept)

    def scaled_confidence(self, probability: float) -> float:
        """An answer's confidence by the collection's own scale."""
        return _scaled(probability, self.confidence_slope, self.confidence_intercept)

    def check(self, field_name: str = "settings") -> None:
        """Checks that they can be.

        Args:
            field_name: What the request calls them.

        Raises:
            InvalidField: One is out of its range, or they contradict each other.
        """
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:  # NaN is not, either
                where = f"{field_name}.{name}"
                shown = f"{value:g}" if isinstance(value, float) else str(value)[:20]  # an integer may be beyond floats
                raise InvalidField(where, f"{where} is {shown}; it must lie between {low:g} and {high:g}.")
        if self.language is not None and self.language not in LANGUAGES:
            raise InvalidField(
                f"{field_name}.language",
                f"{field_name}.language is {self.language[:20]!r}; the languages whose rules are known are "
                f"{', '.join(LANGUAGES)}.",
            )
        if self.weight_of_dense == self.weight_of_sparse == 0:
            raise InvalidField(
                f"{field_name}.sparse_weight",
                "Neither vectors nor words count, so nothing can be found. Give one a weight.",
            )
        if self.late_chunking and self.learned_sparse:
            raise InvalidField(
                f"{field_name}.learned_sparse",
                "With late chunking there are no learned sparse vectors: a word's weight belongs to the text that it "
                "stands in. Leave late_chunking out, or learned_sparse.",
            )
        if None not in (self.refuse_below, self.mark_below) and self.refuse_below > self.mark_below:  # type: ignore[operator]
            raise InvalidField(
                f"{field_name}.refuse_below",
                f"{field_name}.refuse_below is above mark_below: what is refused is marked, too. Lower it.",
            )


AS_THE_GATEWAY = CollectionSettings()
"""Nothing set."""

_RANGES: Mapping[str, tuple[float, float]] = {
    "dense_weight": (0, 1),
    "sparse_weight": (0, 1),
    "learned_weight": (0, 1),
    "rerank_weight": (0, 4),
    "candidates": (1, GatewayLimits().max_candidates),
    "section_characters": (0, GatewayLimits().max_section_characters),
    "score_slope": (1 / _STEEPEST, _STEEPEST),
    "score_intercept": (-_STEEPEST, _STEEPEST),
    "confidence_slope": (1 / _STEEPEST, _STEEPEST),
    "confidence_intercept": (-_STEEPEST, _STEEPEST),
    "refuse_below": (0, 1),
    "mark_below": (0, 1),
    "chunk_tokens": (16, 8_192),
    "chunk_overlap_tokens": (0, 2_048),
    "retention_days": (1, 36_500),
}


@dataclass(frozen=True, slots=True)
class SettingsVersion:
    """Settings as they were from some moment on.

    Attributes:
        number: Counts the changes of a collection, from 1; 0 for one that nobody has changed.
        settings: What was set.
        made_at: When, RFC 3339.
        note: Why, in its author's words.
    """

    number: int = 0
    settings: CollectionSettings = AS_THE_GATEWAY
    made_at: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class SettingsHistory:
    """The settings of a collection, and those that it can go back to.

    Attributes:
        now: Those in force.
        earlier: Those before, the last ones last.
        change_count: How many changes there were: the number of the next version is one more.
    """

    now: SettingsVersion = field(default_factory=SettingsVersion)
    earlier: tuple[SettingsVersion, ...] = ()
    change_count: int = 0

    def changed(self, settings: CollectionSettings, *, made_at: str, note: str) -> SettingsHistory:
        """With a new version in force."""
        number = self.change_count + 1
        earlier = (*self.earlier, self.now)[-MOST_EARLIER:]
        return SettingsHistory(SettingsVersion(number, settings, made_at, note), earlier, number)

    def rolled_back(self) -> SettingsHistory | None:
        """With the version before in force; None if there is none. What was in force is forgotten."""
        if not self.earlier:
            return None
        return replace(self, now=self.earlier[-1], earlier=self.earlier[:-1])

    def to_text(self) -> str:
        """As it is kept."""
        versions = [_version_json(one) for one in (*self.earlier, self.now)]
        return json.dumps({"change_count": self.change_count, "versions": versions}, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Reads what `to_text` wrote; an empty text is of a collection that nobody has changed.

        What a later version of Trivium may have added is passed over.
        """
        if not text:
            return cls()
        kept = json.loads(text)
        *earlier, now = map(_version_from, kept["versions"])
        return cls(now, tuple(earlier), kept["change_count"])


def _version_json(version: SettingsVersion) -> dict[str, Any]:
    return {
        "number": version.number,
        "settings": version.settings.given(),
        "made_at": version.made_at,
        "note": version.note,
    }


def _version_from(kept: Mapping[str, Any]) -> SettingsVersion:
    known = {one.name for one in fields(CollectionSettings)}
    given = {name: value for name, value in kept["settings"].items() if name in known}
    if "refusal" in given:
        given["refusal"] = Refusal(given["refusal"])
    if "quantisation" in given:
        given["quantisation"] = Quantisation(given["quantisation"])
    return SettingsVersion(kept["number"], CollectionSettings(**given), kept["made_at"], kept["note"])


def _scaled(probability: float, slope: float | None, intercept: float | None) -> float:
    """Platt scaling: a line over the log-odds, as far as a float can tell them from certainty."""
    if slope is None and intercept is None:
        return probability
    bounded = min(1 - 1e-12, max(1e-12, probability))
    odds = math.log(bounded / (1 - bounded))
    scaled = (1.0 if slope is None else slope) * odds + (intercept or 0.0)
    return 1.0 / (1.0 + math.exp(-max(-40.0, min(40.0, scaled))))
