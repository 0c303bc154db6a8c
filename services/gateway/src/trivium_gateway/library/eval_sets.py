"""A set of labelled questions, in the form that BEIR made common, out of what people said of answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TYPE_CHECKING

from trivium_serving.errors import NotFound

from trivium_gateway.domain.ids import canonical_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from trivium_gateway.domain.readers import Reader
    from trivium_gateway.library.documents import Documents, StoredDocument
    from trivium_gateway.library.feedback import Feedback
    from trivium_gateway.library.resolved import ResolvedCollection

QUERIES, JUDGEMENTS, CORPUS = "queries.jsonl", "qrels.tsv", "corpus.jsonl"

_PAGE = 100


@dataclass(slots=True)
class LabelledQuestion:
    """A question, and what is known of its answer.

    Attributes:
        id: The request that it was first asked by, with a number where another question has that.
        text: What was asked.
        relevant: The documents that answer it.
        answers: Right answers.
        is_impossible: Whether the documents do not answer it.
    """

    id: str
    text: str
    relevant: dict[str, None] = field(default_factory=dict)
    answers: dict[str, None] = field(default_factory=dict)
    is_impossible: bool = False

    @property
    def is_labelled(self) -> bool:
        """Whether anything is known of it."""
        return bool(self.relevant or self.answers or self.is_impossible)


def labelled_questions(feedback: Iterable[Feedback]) -> list[LabelledQuestion]:
    """What feedback teaches, each question once.

    Documents and answers that people name count. Where they name none, a thumb up says that the documents cited are
    right, or that the refusal is; a thumb down says nothing of what would have been.

    Args:
        feedback: The oldest first.
    """
    questions: dict[str, LabelledQuestion] = {}
    ids: set[str] = set()
    for one in feedback:
        text = " ".join(one.question.casefold().split())
        if text not in questions:  # callers choose ids, and several may have sent one
            numbered = (f"{one.request_id}:{number}" for number in count(2))
            own = next(each for each in chain([one.request_id], numbered) if each not in ids)
            ids.add(own)
            questions[text] = LabelledQuestion(own, one.question)
        question = questions[text]
        right = one.document_ids or (one.cited_document_ids if one.rating > 0 and not one.answer else ())
        question.relevant |= dict.fromkeys(map(canonical_id, right))
        if one.answer:
            question.answers[one.answer] = None
        says_more = bool(one.document_ids or one.answer)
        question.is_impossible = one.refused and one.rating > 0 and not says_more
    for question in questions.values():
        question.is_impossible = question.is_impossible and not question.relevant and not question.answers
    return [one for one in questions.values() if one.is_labelled]


async def eval_set(
    questions: Sequence[LabelledQuestion],
    documents: Documents,
    collection: ResolvedCollection | None,
    *,
    reader: Reader,
    judged_only: bool,
) -> AsyncGenerator[tuple[str, bytes], None]:
    """The lines of the files, one file after the other, each with its name.

    Documents that are gone are left out of the judgements, too.

    Args:
        questions: The questions.
        documents: Reads the documents.
        collection: Where they are; None if there is no such place any more.
        reader: As whom they are read.
        judged_only: Whether to leave out the documents that no question is about.

    Raises:
        TriviumError: The documents cannot be read.
    """
    for one in questions:
        line = {"_id": one.id, "text": one.text, "answers": list(one.answers), "is_impossible": one.is_impossible}
        yield QUERIES, _json(line)
    judged = dict.fromkeys(document_id for one in questions for document_id in one.relevant)
    there: dict[str, StoredDocument] = {}
    if collection is not None:
        for document_id in judged:
            try:
                there[document_id] = await documents.get(collection, document_id, reader=reader)
            except NotFound:
                continue
    yield JUDGEMENTS, b"query-id\tcorpus-id\tscore\n"
    for one in questions:
        for document_id in one.relevant:
            if document_id in there:
                yield JUDGEMENTS, f"{one.id}\t{document_id}\t1\n".encode()
    for document in there.values():
        yield CORPUS, _document(document)
    if judged_only or collection is None:
        return
    page_token = ""
    while True:
        listed, page_token = await documents.list(collection, page_size=_PAGE, page_token=page_token, reader=reader)
        for head in listed:
            if canonical_id(head.id) not in there:
                try:
                    yield CORPUS, _document(await documents.get(collection, head.id, reader=reader))
                except NotFound:  # deleted since
                    continue
        if not page_token:
            return


def _document(document: StoredDocument) -> bytes:
    line = {"_id": canonical_id(document.id), "title": document.title, "text": document.text}
    return _json(line)


def _json(line: object) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
