"""Chooses the sentences of an answer and writes them down with their citations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from trivium_evidence.language import is_chinese
from trivium_lexical import simplified

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from trivium_evidence.sentences import Sentence

    from trivium_generate.extractive.scoring import Scored

MAX_SENTENCES = 3
# Beside a sentence that answers, at most one is wanted; those that it refers back to come on top.
_MOST_CHOSEN = 2
# One is added if the first holds the answer with less than this probability, by their scores, and it with more than
# that.
_ENOUGH_PROBABILITY = 0.7
_MIN_PROBABILITY = 0.1
# One that holds the kind of thing that is asked for, if the first does not, is worth adding at this.
_MIN_PROBABILITY_OF_KIND = 0.05
# A sentence that speaks of another part of the question is worth adding at less: this share of what is asked.
_NEW_PART = 0.25
_MIN_PROBABILITY_OF_NEW_PART = 0.005
# Where the first has the answer, another may as well have it from this share of its probability on.
_AS_LIKELY = 0.5
# An item of a list is quoted with the sentence that leads to the list, up to this length.
_MAX_LEAD_IN_CHARS = 160
# Share of terms in common from which a sentence says nothing new.
_MAX_OVERLAP = 0.7

# A sentence that begins like this is understood only after the one before it.
_REFERS_BACK = re.compile(
    r"(?:he|she|it|they|this|that|these|those|his|her|its|their|such|there|here|but|and|so|however|instead|then|also)\b"
    r"|[他她它其该此这那]|因此|所以|但是?|然而|后来",
    re.IGNORECASE,
)


def choose(scored: Scored, scores: NDArray[np.float64], *, is_answered: bool = False) -> list[Sentence]:
    """The one to three sentences that answer best: first the one that does, with what it refers back to before it.

    Items of a list keep the order of their text.

    Args:
        scored: The sentences.
        scores: The final score of each.
        is_answered: Whether the best has the very words that answer: then another only if it may as well be the one.
    """
    probabilities = np.exp(scores - scores.max())
    probabilities /= probabilities.sum()
    order = np.argsort(-scores, kind="stable")
    chosen = [int(order[0])]
    reached = float(probabilities[order[0]])
    spoken_of = scored.terms[order[0]] | scored.above[order[0]]
    is_answered = is_answered or scored.sentences[order[0]].is_row
    for row in map(int, order[1:]):
        probability = float(probabilities[row])
        if is_answered and probability < _AS_LIKELY * reached:
            break
        if len(chosen) == _MOST_CHOSEN or probability < _MIN_PROBABILITY_OF_NEW_PART:
            break
        new = sum(share for term, share in scored.asked.items() if term in scored.terms[row] - spoken_of)
        holds = scored.holds[row] and not any(scored.holds[other] for other in chosen)
        wanted = (reached < _ENOUGH_PROBABILITY and probability >= _MIN_PROBABILITY) or new >= _NEW_PART
        wanted = wanted or (holds and probability >= _MIN_PROBABILITY_OF_KIND)
        if wanted and not any(_says_the_same(scored, row, other) for other in chosen):
            chosen.append(row)
            reached += probability
            spoken_of |= scored.terms[row] | scored.above[row]
    added = _antecedents(scored.sentences, chosen)
    if any(scored.sentences[row].lead_in for row in chosen):
        ordered = sorted([*chosen, *added])
    else:
        ordered = [one for row in chosen for one in (row - 1, row) if one == row or one in added]
    return [scored.sentences[row] for row in dict.fromkeys(ordered)]


def compose(sentences: Sequence[Sentence], short: tuple[str, int] | None = None) -> tuple[str, ...]:
    """The answer, in parts to be joined: each sentence and its citation.

    Args:
        sentences: The sentences.
        short: The few words that answer, which come first, and the position of their passage.
    """
    parts: list[str] = []
    if short is not None:
        words, passage = short
        chinese = is_chinese(words)
        parts.append(f"{_ended(words, chinese)}{'' if chinese else ' '}[{passage + 1}]")
    for place, sentence in enumerate(sentences):
        following = sentences[place + 1] if place + 1 < len(sentences) else None
        if following is not None and _leads_to(sentence, following) and len(sentence.text) <= _MAX_LEAD_IN_CHARS:
            continue  # it comes with that
        chinese = is_chinese(sentence.text)
        separator = "" if chinese or not parts else " "
        text = _ended(_in_context(sentence, sentences[place - 1] if place else None, chinese), chinese)
        parts.append(f"{separator}{text}{'' if chinese else ' '}[{sentence.passage + 1}]")
    return tuple(parts)


def _leads_to(sentence: Sentence, item: Sentence) -> bool:
    return sentence.passage == item.passage and sentence.text == item.lead_in


def _in_context(sentence: Sentence, previous: Sentence | None, chinese: bool) -> str:
    """A sentence with what it leads to; an item of a list after what leads to it, unless that was just said."""
    text = sentence.text + sentence.beginning
    if not sentence.lead_in or len(sentence.lead_in) > _MAX_LEAD_IN_CHARS:
        return text
    if previous is not None and previous.passage == sentence.passage and previous.lead_in == sentence.lead_in:
        return text
    return f"{sentence.lead_in}{'' if chinese else ' '}{text}"


def _ended(text: str, chinese: bool) -> str:
    """A sentence with a mark at its end: list items have none, and a sentence that its passage cuts off shows it."""
    if text.endswith((",", "，", "、", ";", "；", "-", "–", "—")):
        return text.rstrip(",，、;；-–— ") + ("……" if chinese else " …")
    if text[-1].isalnum() or text[-1] in ")）]】%`”’\"'」』":
        return text + ("。" if chinese else ".")
    return text


def _antecedents(sentences: Sequence[Sentence], chosen: Sequence[int]) -> list[int]:
    """The sentences before those that refer back, best first, as far as there is room."""
    added: list[int] = []
    for row in chosen:
        room = len(chosen) + len(added) < MAX_SENTENCES
        has_previous = row > 0 and sentences[row - 1].passage == sentences[row].passage
        is_item = bool(sentences[row].lead_in)  # what it is about is said by the sentence that leads to it
        refers_back = not is_item and _REFERS_BACK.match(simplified(sentences[row].text))
        if room and has_previous and refers_back and row - 1 not in (*chosen, *added):
            added.append(row - 1)
    return added


def _says_the_same(scored: Scored, row: int, other: int) -> bool:
    texts = (scored.sentences[row].text, scored.sentences[other].text)
    within = texts[0] in texts[1] or texts[1] in texts[0]
    return within or _overlap(scored.terms[row], scored.terms[other]) > _MAX_OVERLAP


def _overlap(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / (len(first | second) or 1)
