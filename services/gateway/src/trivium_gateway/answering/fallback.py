"""Answers that no service writes: a refusal where nothing was found, and the passages themselves."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from importlib import resources
from typing import TYPE_CHECKING

from trivium_lexical.languages import language_of

from trivium_gateway.answering.leaning import KANA, WORD
from trivium_gateway.library.resolved import DEFAULT_COLLECTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trivium_gateway.answering.plan import Searched
    from trivium_gateway.answering.question import Question
    from trivium_gateway.domain.passages import Passage

_EAST_ASIAN = re.compile(r"[\u3041-\u30fa\u3400-\u9fff\uac00-\ud7af]")
_HANGUL = re.compile(r"[\uac00-\ud7af]")
_ARABIC = re.compile(r"[\u0620-\u06d3]")
# Letters of Persian, Urdu and others that Arabic has not.
_OTHERS_IN_ARABIC_SCRIPT = re.compile(
    r"[\u0679\u067e\u0686\u0688\u0691\u0698\u06a9\u06af\u06ba\u06be\u06c1\u06cc\u06d2]"
)
# One letter in three: there, one says more than a Latin one.
_SHARE_OF_A_SCRIPT = 3
_CITATION_LIKE = re.compile(r"\[(\d+)\]")

_REFUSALS: dict[str, dict[str, str]] = tomllib.loads(
    resources.files(__package__).joinpath("refusals.toml").read_text(encoding="utf-8")
)

# So many documents are named as nearest.
_NEAREST = 2
# As many passages as a person reads at a glance; the rest stand among the sources.
_SHOWN_PASSAGES = 3


def refusal(question: Question, searched: Searched, passages: Sequence[Passage]) -> str:
    """Says that the documents do not answer a question: what was searched for where, and what came nearest.

    Args:
        question: The question; it is refused in its language, where that is one of `refusals.toml`, else in English.
        searched: What was searched for.
        passages: What was found, best first; none if nothing was.
    """
    words = _REFUSALS[_language(question.text)]
    if not passages:
        return words["nothing"]
    nearest = list(dict.fromkeys(one.chunk.title or one.chunk.document_id for one in passages))[:_NEAREST]
    names = [one or DEFAULT_COLLECTION for one in question.options.names]
    places = words["collections" if len(names) > 1 else "collection"]
    return words["nearest"].format(
        places=places.format(names=words["and"].join(map(words["name"].format, names))),
        query=searched.search_query or question.text,
        named=words["and"].join(map(words["title"].format, nearest)),
    )


def _language(question: str) -> str:
    """The language of a question: by its script, and among those that share one by its function words."""
    letters = sum(map(str.isalpha, question))
    if len(_EAST_ASIAN.findall(question)) * _SHARE_OF_A_SCRIPT > letters:
        return "japanese" if KANA.search(question) else "korean" if _HANGUL.search(question) else "chinese"
    if len(_ARABIC.findall(question)) * _SHARE_OF_A_SCRIPT > letters:
        return "arabic" if not _OTHERS_IN_ARABIC_SCRIPT.search(question) else "english"
    return language_of(Counter(WORD.findall(question)))


def passages_as_answer(passages: Sequence[Passage]) -> Iterator[tuple[str, int]]:
    """The best passages as an answer, for when nothing is there that could write one.

    Args:
        passages: The evidence, most relevant first.

    Yields:
        Text to append, which ends in `[n]`, and n. What looks like a citation in a passage, as footnote marks do, is
        put in parentheses, so that `[n]` always means a passage.
    """
    for index, passage in enumerate(passages[:_SHOWN_PASSAGES], start=1):
        text = _CITATION_LIKE.sub(r"(\1)", passage.chunk.readable_text.strip())
        yield f"{'' if index == 1 else chr(10) * 2}{text} [{index}]", index
