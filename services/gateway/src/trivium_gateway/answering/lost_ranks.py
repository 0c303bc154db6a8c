"""Where a document stood in a search that lost it, and what is said of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_gateway.domain.explanations import Explanation, Fate
from trivium_gateway.library.leg_ranks import DEPTH

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from trivium_gateway.domain.standings import Ranked
    from trivium_gateway.library.candidates import Candidate

__all__ = ["Ranks", "left_out", "not_found", "ranks_of"]


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where the best of some chunks stood in a search.

    Attributes:
        ranked: What was said of it; None if it was not found.
        fused: Its place, from 1, in the search's order.
        dense: Its place by meaning; None if that leg did not find it.
        sparse: Its place by words, likewise.
        learned: Its place by learned sparse vectors, likewise.
    """

    ranked: Ranked | None = None
    fused: int | None = None
    dense: int | None = None
    sparse: int | None = None
    learned: int | None = None


def ranks_of(found: Sequence[Sequence[Ranked]], ids: Collection[str]) -> Ranks:
    """Where the first query that found any of some chunks had the best of them."""
    for ranking in found:
        for place, one in enumerate(ranking, start=1):
            if one.id in ids:
                legs = (
                    _leg_rank([other.dense for other in ranking], one.dense),
                    _leg_rank([other.sparse for other in ranking], one.sparse),
                    _leg_rank([other.learned for other in ranking], one.learned),
                )
                return Ranks(one, place, *legs)
    return Ranks()


def _leg_rank(scores: Sequence[float | None], own: float | None) -> int | None:
    return None if own is None else 1 + sum(1 for score in scores if score is not None and score > own)


def left_out(ranking: Sequence[Ranked], ids: Collection[str], document_id: str, limit: int) -> Explanation:
    """For a document that the search found, and that was not ordered."""
    ranks = ranks_of([ranking], ids)
    assert ranks.ranked is not None
    assert ranks.fused is not None
    if ranks.fused > limit:
        fate = Fate.CUT_BY_FUSION
        learned = "" if ranks.learned is None else f", by learned sparse vectors to {_nth(ranks.learned)}"
        message = (
            f"By meaning it came to {_nth(ranks.dense)}, by words to {_nth(ranks.sparse)}{learned}; by all together to "
            f"{_nth(ranks.fused)}, and {limit} go on."
        )
    else:
        fate = Fate.NOT_READ
        message = (
            f"The search had it at place {ranks.fused}. It was left out before it was ordered, since enough stood "
            "before it, or since its version did not count any more."
        )
    return Explanation(
        document_id,
        fate,
        message,
        fused_rank=ranks.fused,
        dense_rank=ranks.dense,
        sparse_rank=ranks.sparse,
        dense=ranks.ranked.dense,
        sparse=ranks.ranked.sparse,
        learned_rank=ranks.learned,
        learned=ranks.ranked.learned,
    )


def not_found(document_id: str, best: Candidate, ranks: Mapping[str, int | None], limit: int) -> Explanation:
    """For a document that no leg had among its candidates: where it would stand now."""
    by_words = _nth(ranks.get("sparse"), beyond=True)
    if "sparse" not in ranks:
        by_words = "none, since the query has no words to search for"
    elif best.sparse is None:
        by_words = "none, since it has none of the query's words"
    message = (
        f"Each way of searching gives its first {limit}. Now it stands at {_nth(ranks['dense'], beyond=True)} by "
        f"meaning, and by words at {by_words}."
    )
    if "learned" in ranks:
        message += f" By learned sparse vectors it stands at {_nth(ranks['learned'], beyond=True)}."
    return Explanation(
        document_id,
        Fate.NOT_FOUND,
        message,
        dense_rank=ranks["dense"],
        sparse_rank=ranks.get("sparse"),
        dense=best.dense,
        sparse=best.sparse,
        learned_rank=ranks.get("learned"),
        learned=best.learned,
    )


def _nth(rank: int | None, *, beyond: bool = False) -> str:
    if rank is None:
        return f"a place beyond {DEPTH}" if beyond else "none"
    return f"place {rank}"
