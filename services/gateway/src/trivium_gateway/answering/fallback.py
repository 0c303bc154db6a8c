"""Answers that no service writes: a refusal where nothing was found, and the passages themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trivium_gateway.domain.passages import Passage

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_OTHER_SCRIPTS_WITH_HAN = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_CITATION_LIKE = re.compile(r"\[(\d+)\]")

_REFUSAL_ENGLISH = "I found nothing in the documents that answers this question."
_REFUSAL_CHINESE = "在文档中没有找到能回答这个问题的内容。"

# As many passages as a person reads at a glance; the rest stand among the sources.
_SHOWN_PASSAGES = 3


def refusal(question: str) -> str:
    """Says that the documents do not answer a question, in Chinese if that is its language, else in English."""
    chinese = _HAN.search(question) and not _OTHER_SCRIPTS_WITH_HAN.search(question)
    return _REFUSAL_CHINESE if chinese else _REFUSAL_ENGLISH


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
