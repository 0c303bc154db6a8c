"""Measures of rankings and of refusals: of one question, and of many.

Those of rankings are trec_eval's, with the grade itself as gain, as BEIR and MTEB report them.
"""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DEPTH = 10
RECALL_DEPTHS = (5, 20, 100)

_MARK = re.compile(r"\[\d{1,6}\]")
_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def ranking_measures(ranks: Mapping[str, int], relevant: Mapping[str, int]) -> dict[str, float]:
    """nDCG@10, MRR@10 and recall of one question.

    Args:
        ranks: Where relevant documents stand in the ranking, from 1; those that it lacks are not there.
        relevant: All of them, and their grades, from 1; not empty.
    """
    first = min(ranks.values(), default=0)
    found = {depth: sum(rank <= depth for rank in ranks.values()) for depth in RECALL_DEPTHS}
    return {
        f"ndcg_at_{DEPTH}": _ndcg(ranks, relevant),
        f"mrr_at_{DEPTH}": 1 / first if 0 < first <= DEPTH else 0.0,
        **{f"recall_at_{depth}": count / len(relevant) for depth, count in found.items()},
    }


def _ndcg(ranks: Mapping[str, int], relevant: Mapping[str, int]) -> float:
    gained = math.fsum(relevant[document] / math.log2(rank + 1) for document, rank in ranks.items() if rank <= DEPTH)
    best = sorted(relevant.values(), reverse=True)[:DEPTH]
    return gained / math.fsum(grade / math.log2(rank + 1) for rank, grade in enumerate(best, 1))


def states_any(text: str, answers: Sequence[str]) -> bool:
    """Whether a text has one of some answers in it, word for word but for case, punctuation and `[1]`."""
    plain = _plain(_MARK.sub("", text))
    for answer in answers:
        wanted = _plain(answer)
        if not wanted:
            continue
        if _UNSPACED.search(wanted):
            if wanted.replace(" ", "") in plain.replace(" ", ""):
                return True
        elif f" {wanted} " in f" {plain} ":
            return True
    return False


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


@dataclass(frozen=True, slots=True)
class Judged:
    """What the stack said of a question, and what is true.

    Attributes:
        confidence: How sure it was that the documents answer; None if it could not tell.
        marked: Whether it said that they do not.
        answerable: Whether they do.
        wrong: Whether an answer to it is wrong: as there is none, or as it is not what was said.
    """

    confidence: float | None
    marked: bool
    answerable: bool
    wrong: bool


def refusal_measures(judged: Sequence[Judged]) -> dict[str, float | None]:
    """Precision and recall of saying that the documents do not answer, and how well the confidence tells.

    Args:
        judged: All questions.
    """
    marked = [one for one in judged if one.marked]
    unanswerable = [one for one in judged if not one.answerable]
    right = sum(not one.answerable for one in marked)
    answerable_count = len(judged) - len(unanswerable)
    return {
        "precision": right / len(marked) if marked else None,
        "recall": right / len(unanswerable) if unanswerable else None,
        "false_refusals": (len(marked) - right) / answerable_count if answerable_count else None,
        "auroc": auroc(
            [one.confidence for one in judged if one.answerable and one.confidence is not None],
            [one.confidence for one in unanswerable if one.confidence is not None],
        ),
    }


def auroc(higher: Sequence[float], lower: Sequence[float]) -> float | None:
    """How likely one of some values is above one of others, a tie counted as half; None if there are none of either."""
    if not higher or not lower:
        return None
    ordered = sorted([(value, 1) for value in higher] + [(value, 0) for value in lower])
    total, place = 0.0, 0
    while place < len(ordered):
        end = place
        while end < len(ordered) and ordered[end][0] == ordered[place][0]:
            end += 1
        # All that are equal share the mean of their ranks.
        total += sum(is_higher for _, is_higher in ordered[place:end]) * (place + 1 + end) / 2
        place = end
    return (total - len(higher) * (len(higher) + 1) / 2) / (len(higher) * len(lower))


def risk_coverage(judged: Sequence[Judged]) -> list[tuple[float, float]]:
    """What part of the answers is wrong if only the surest are given (El-Yaniv and Wiener, JMLR 2010).

    Returns:
        Coverage, rising to 1, and risk, after each group of equal confidence. Empty if no question has one.
    """
    told = sorted((-one.confidence, one.wrong) for one in judged if one.confidence is not None)
    curve = []
    wrong = 0
    for count, (confidence, is_wrong) in enumerate(told, 1):
        wrong += is_wrong
        if count == len(told) or told[count][0] != confidence:
            curve.append((count / len(told), wrong / count))
    return curve


def area_under(curve: Sequence[tuple[float, float]]) -> float | None:
    """The mean risk over all coverages; None without a curve."""
    if not curve:
        return None
    area, before = 0.0, 0.0
    for coverage, risk in curve:
        area += (coverage - before) * risk
        before = coverage
    return area


def quantile(values: Sequence[float], share: float) -> float:
    """The value that a share of some values, at least one, does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def mean(values: Sequence[float]) -> float | None:
    """Their mean; None if there are none."""
    return math.fsum(values) / len(values) if values else None
