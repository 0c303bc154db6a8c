"""Chooses the sentences of an answer and writes them down with their citations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from trivium_evidence.direct_answers import names_row
from trivium_evidence.headings import MAIL_FIELD
from trivium_evidence.language import is_chinese
from trivium_evidence.sentences import points_back

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
    is_row = scored.sentences[order[0]].is_row
    is_answered = is_answered or is_row or scored.defines[order[0]]
    for row in map(int, order[1:]):
        probability = float(probabilities[row])
        if is_answered and probability < _AS_LIKELY * reached:
            break
        if len(chosen) == _MOST_CHOSEN or probability < _MIN_PROBABILITY_OF_NEW_PART:
            break
        lacks_amount = scored.has_amount[order[0]] and not scored.has_amount[row]
        if lacks_amount or scored.says_nothing[row] or MAIL_FIELD.match(scored.sentences[row].text):
            continue
        if is_row and _names(scored, chosen[0]) and not _names(scored, row):
            continue
        new = _asked_in(scored, scored.terms[row] - spoken_of)
        if is_row and not new and not _is_asked_too(scored, row, chosen[0]):
            continue
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
    return _lists_whole(scored, list(dict.fromkeys(ordered)))


def _asked_in(scored: Scored, found: frozenset[str]) -> float:
    """What share of what is asked some terms have."""
    return sum(share for term, share in scored.asked.items() if term in found)


def _names(scored: Scored, row: int) -> bool:
    """Whether the question names what a row of a table is about."""
    return scored.sentences[row].is_row and names_row(frozenset(scored.asked), scored.sentences[row].text)


def _is_asked_too(scored: Scored, row: int, best: int) -> bool:
    """Whether another row of a table is asked for beside the best: of several things those that are as much asked."""
    is_row = scored.sentences[row].is_row and scored.asks_several
    return is_row and _asked_in(scored, scored.terms[row]) >= _asked_in(scored, scored.terms[best])


def _lists_whole(scored: Scored, rows: Sequence[int]) -> list[Sentence]:
    """The sentences in some rows; the list as a whole for its items where its heading says what is asked for."""
    found: list[Sentence] = []
    for row in rows:
        one, own = scored.sentences[row], scored.terms[row]
        by_heading = _asked_in(scored, scored.above[row] - own) > _asked_in(scored, own)
        if one.listed and scored.asks_for_list and by_heading:
            one = replace(one, text=one.listed)
        if not any(one.passage == other.passage and one.text in other.text for other in found):
            found.append(one)
    return found


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
    """The sentences before those that point back, best first, as far as there is room."""
    added: list[int] = []
    for row in chosen:
        room = len(chosen) + len(added) < MAX_SENTENCES
        if room and row > 0 and points_back(sentences[row], sentences[row - 1]) and row - 1 not in (*chosen, *added):
            added.append(row - 1)
    return added


def _says_the_same(scored: Scored, row: int, other: int) -> bool:
    if scored.sentences[row].is_row and scored.sentences[other].is_row:  # alike as they are, they are of two things
        return scored.sentences[row].text == scored.sentences[other].text
    texts = (scored.sentences[row].text, scored.sentences[other].text)
    within = texts[0] in texts[1] or texts[1] in texts[0]
    return within or _overlap(scored.terms[row], scored.terms[other]) > _MAX_OVERLAP


def _overlap(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / (len(first | second) or 1)
