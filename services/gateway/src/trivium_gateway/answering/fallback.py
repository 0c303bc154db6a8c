"""Answers that no service writes: a refusal where nothing was found, and the passages themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trivium_gateway.library.resolved import DEFAULT_COLLECTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trivium_gateway.answering.plan import Searched
    from trivium_gateway.answering.question import Question
    from trivium_gateway.domain.passages import Passage

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_OTHER_SCRIPTS_WITH_HAN = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_CITATION_LIKE = re.compile(r"\[(\d+)\]")

_NOTHING_ENGLISH = "I found nothing in the documents that answers this question."
_NOTHING_CHINESE = "在文档中没有找到能回答这个问题的内容。"

# So many documents are named as nearest.
_NEAREST = 2
# As many passages as a person reads at a glance; the rest stand among the sources.
_SHOWN_PASSAGES = 3


def refusal(question: Question, searched: Searched, passages: Sequence[Passage]) -> str:
    """Says that the documents do not answer a question: what was searched for where, and what came nearest.

    Args:
        question: The question; in Chinese it is refused in Chinese, else in English.
        searched: What was searched for.
        passages: What was found, best first; none if nothing was.
    """
    chinese = bool(_HAN.search(question.text) and not _OTHER_SCRIPTS_WITH_HAN.search(question.text))
    if not passages:
        return _NOTHING_CHINESE if chinese else _NOTHING_ENGLISH
    nearest = list(dict.fromkeys(one.chunk.title or one.chunk.document_id for one in passages))[:_NEAREST]
    query = searched.search_query or question.text
    names = [one or DEFAULT_COLLECTION for one in question.options.names]
    if chinese:
        named, quoted = "、".join(f"《{one}》" for one in nearest), "、".join(f"“{one}”" for one in names)
        return f"文档没有回答这个问题。在集合{quoted}中搜索了“{query}”，最接近的是{named}。"
    named = " and ".join(f"\u201c{one}\u201d" for one in nearest)
    places = f"the collection{'s' if len(names) > 1 else ''} {' and '.join(names)}"
    return (
        f"The documents do not answer this question. I searched {places} for \u201c{query}\u201d; "
        f"nearest to it came {named}."
    )


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
