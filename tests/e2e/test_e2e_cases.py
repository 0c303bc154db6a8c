"""Questions that were once answered wrongly, through the real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from e2e.stack import Stack

_CHANGES = {
    "PPR-1044": "The pump housing gets a new gasket.",
    "PPR-1777": "The paint of the cover becomes grey.",
    "PPR-5801": "Operators must confirm the stop twice.",
    "PPR-9087": "The torque of the lid screws is raised to 14 Nm.",
    "PPR-9088": "The torque of the base screws is lowered to 9 Nm.",
    "PPR-1204": "A label with the voltage is added.",
    "PPR-3310": "The alarm horn is replaced by a lamp.",
    "PPR-4471": "The drain valve moves to the left side.",
}
_COLLECTIONS: dict[str, dict[str, str]] = {
    "changes": {one: f"Change request {one}. {text}" for one, text in _CHANGES.items()},
    "letters": {
        "file": "The \ufb01le of\ufb01ce keeps the \ufb02ow chart.",
        "resume": "The résumé of Zoë Brontë is in the folder.",
        "other": "The cabinet keeps keys and stamps.",
        "street": "Die Lieferung geht an die Hauptstraße in Köln.",
    },
    "japanese": {
        "nikkei": "日経平均株価は今日、三万円を超えました。",
        "topix": "東証株価指数は昨日から下がりました。",
        "jika": "エヌビディアの時価総額は三兆ドルです。",
        "gen": "原価計算の方法を経理部が説明します。",
    },
    "machine": {
        "valve": "The relief valve opens at nine bar.",
        "plant": "The plant has run the machine for many years and colleagues looked at it.",
        "pump": "The pump stops after ten seconds.",
    },
}
_AROUND = (
    "We have been running this machine in our plant for many years, and several colleagues have looked at it. " * 15
)
_GREETING = "\n\nMany thanks and best regards,\nJohannes Leitner\n"


@pytest.fixture(scope="module")
def cases(stack: Stack) -> Stack:
    for name, texts in _COLLECTIONS.items():
        stack.http.post("/v1/collections", json={"name": name}).raise_for_status()
        title = "Change request" if name == "changes" else ""
        documents = [{"id": one, "title": title, "text": text} for one, text in texts.items()]
        assert {one["status"] for one in stack.ingest(*documents, collection=name)} == {"indexed"}
    return stack


@pytest.mark.parametrize("rerank", [False, True], ids=["search", "reranked"])
@pytest.mark.parametrize(
    ("collection", "query", "document"),
    [
        ("changes", "PPR-9087", "PPR-9087"),
        ("changes", "9087", "PPR-9087"),
        ("changes", "ppr9088", "PPR-9088"),
        ("letters", "file office", "file"),
        ("letters", "ＦＩＬＥ　ＯＦＦＩＣＥ", "file"),
        ("letters", "resume of Zoe Bronte", "resume"),
        ("letters", "Hauptstrasse Koln", "street"),
        ("japanese", "株価指数", "topix"),
        ("japanese", "nvidia 時価総額", "jika"),
        ("japanese", "原価計算", "gen"),
        ("machine", f"{_AROUND}When does the pump stop?", "pump"),
        ("machine", f"{_AROUND}Please tell us when the relief valve opens.{_GREETING}", "valve"),
    ],
    ids=lambda value: value[-40:].strip() if isinstance(value, str) else value,
)
def test_passage_that_has_what_is_asked_for_is_first(
    cases: Stack, collection: str, query: str, document: str, rerank: bool
) -> None:
    body = {"query": query, "collection": collection, "rerank": rerank}
    passages: list[dict[str, Any]] = cases.http.post("/v1/retrieve", json=body).json()["passages"]

    assert passages[0]["document_id"] == document
    assert passages[0]["scores"]["sparse"] == max(one["scores"]["sparse"] or 0 for one in passages) > 0


@pytest.mark.parametrize(
    ("collection", "question", "document", "fact"),
    [
        ("changes", "What does PPR-9087 change?", "PPR-9087", "14 Nm"),
        ("letters", "What does the file office keep?", "file", "\ufb02ow chart"),
        ("machine", f"{_AROUND}When does the relief valve open?", "valve", "nine bar"),
        ("machine", f"{_AROUND}When does the pump stop?", "pump", "ten seconds"),
        ("machine", f"When does the pump stop? {_AROUND}", "pump", "ten seconds"),
        ("machine", f"{_AROUND}Please tell us when the relief valve opens.{_GREETING}", "valve", "nine bar"),
    ],
    ids=lambda value: value[-40:].strip() if isinstance(value, str) else value,
)
def test_answer_is_of_the_passage_that_has_it_alone(
    cases: Stack, collection: str, question: str, document: str, fact: str
) -> None:
    body = cases.answer(question, collection=collection)

    assert body["answerable"] is True
    assert fact in body["answer"]
    assert {one["document_id"] for one in body["citations"]} == {document}
