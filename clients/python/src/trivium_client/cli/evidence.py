"""Passages on a terminal: the sentence that supports an answer, or answers a query, is highlighted."""

import re
from collections.abc import Iterator

from rich.padding import Padding
from rich.text import Text

from trivium_client import Answer, Passage

# A full stop within a number or a name is not followed by space; a blank line ends what has no full stop.
_SENTENCE = re.compile(r"\S.*?(?:[.!?][\"')\]]*(?=\s)|[。！？]|\n\s*\n|\Z)", re.DOTALL)
_WORD = re.compile(r"[\u3400-\u9fff\u3040-\u30ff\uac00-\ud7af]|\w+")
_SHORT_WORD = 2
_AROUND_CHARACTERS = 160


def excerpt(passage: Passage, claim: str) -> Padding:
    """The part of a passage that is nearest to a text, with that part's best sentence in bold.

    Args:
        passage: The passage.
        claim: A query, or the sentences of an answer that cite the passage.
    """
    start, end = best_sentence(passage.text, claim)
    first = max(0, start - _AROUND_CHARACTERS)
    last = min(len(passage.text), end + _AROUND_CHARACTERS)
    shown = Text("… " if first else "", style="dim")
    shown.append(_one_line(passage.text[first:start]))
    shown.append(_one_line(passage.text[start:end]), style="bold not dim" if end > start else "")
    shown.append(_one_line(passage.text[end:last]))
    shown.append(" …" if last < len(passage.text) else "")
    return Padding(shown, (0, 0, 0, 4))


def whole(passage: Passage, claim: str) -> Padding:
    """A passage as it is, with its best sentence in bold."""
    start, end = best_sentence(passage.text, claim)
    shown = Text(passage.text[:start], style="dim")
    shown.append(passage.text[start:end], style="bold not dim" if end > start else "")
    shown.append(passage.text[end:].rstrip())
    return Padding(shown, (0, 0, 0, 4))


def claims(answer: Answer) -> dict[int, str]:
    """By the number of each cited passage, from 1: the sentences of the answer that cite it."""
    found: dict[int, list[str]] = {}
    for citation in answer.citations:
        sentence = citation.sentence  # earlier gateways do not say
        said = answer.answer[sentence.start : sentence.end] if sentence else ""
        found.setdefault(citation.index, []).append(said)
    return {index: " ".join(sentences) for index, sentences in found.items()}


def best_sentence(text: str, claim: str) -> tuple[int, int]:
    """Where the sentence stands that has most of the claim's words; nowhere, `(0, 0)`, if none has any."""
    wanted = set(_words(claim))
    best, best_score = (0, 0), 0.0
    for match in _SENTENCE.finditer(text):
        sentence = match.group().rstrip()
        words = set(_words(sentence))
        # The square root keeps a long sentence from winning by its length alone.
        score = len(words & wanted) / (len(words) ** 0.5) if words else 0.0
        if score > best_score:
            best, best_score = (match.start(), match.start() + len(sentence)), score
    return best


def _words(text: str) -> Iterator[str]:
    """Words of more than two letters, and each character of scripts without spaces."""
    for match in _WORD.finditer(text.lower()):
        word = match.group()
        if len(word) > _SHORT_WORD or word.isdigit() or not word.isascii():
            yield word


def _one_line(text: str) -> str:
    joined = " ".join(text.split())
    return f"{' ' if text[:1].isspace() else ''}{joined}{' ' if joined and text[-1:].isspace() else ''}"
