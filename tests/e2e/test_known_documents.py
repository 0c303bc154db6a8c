"""Facts in known places of files of every format: each is answered, and the citation points at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from documents.asking import ask, send
from documents.known import known_files
from trivium_client import Trivium, to_json

if TYPE_CHECKING:
    from documents.known import KnownFile
    from e2e.stack import Stack

COLLECTION = "known"
# bench/documents/facts.py asks for all of them; here is the hardest place of each format that a moment allows.
ASKED = {
    (".txt", "the end of a long text"), (".md", "table cell"), (".html", "merged cell"), (".epub", "exponent"),
    (".mhtml", "table cell"), (".csv", "row 150"), (".tsv", "beside an empty cell"), (".jsonl", "records"),
    (".xml", "attributes"), (".docx", "table cell"), (".docx", "footnote"), (".docx", "formula"), (".pptx", "notes"),
    (".xlsx", "second sheet"), (".odt", "merged cell"), (".odp", "table cell"), (".rtf", "table cell"),
    (".pdf", "third page"), (".pdf", "table cell"), (".pdf", "scanned page"), (".png", "picture of a page"),
    (".mbox", "second mail"), (".vtt", "a voice"),
}  # fmt: skip


def _asked() -> list[KnownFile]:
    files = known_files()
    return [file for file in files if any(file.name.endswith(end) and file.place == place for end, place in ASKED)]


@pytest.fixture(scope="module")
def filled(stack: Stack) -> Stack:
    stack.http.post("/v1/collections", json={"name": COLLECTION}).raise_for_status()
    assert send(stack.http, _asked(), COLLECTION) == {}
    return stack


@pytest.mark.parametrize("file", _asked(), ids=lambda file: file.name)
def test_fact_in_a_known_place_is_answered_and_cited_there(filled: Stack, file: KnownFile) -> None:
    outcome = ask(filled.http, file, COLLECTION)

    assert outcome.fault == "", outcome.answer


def test_citation_has_the_same_boxes_on_every_surface(filled: Stack) -> None:
    (file,) = (file for file in _asked() if (file.name[-4:], file.place) == (".pdf", "third page"))
    body = {"question": file.question, "collection": COLLECTION, "mode": "extractive"}
    cited = filled.http.post("/v1/answer", json=body).json()["citations"][0]

    with Trivium(f"127.0.0.1:{filled.grpc_port}") as trivium:
        citation = trivium.ask(file.question, collection=COLLECTION, mode="extractive").citations[0]

    (box,) = cited["boxes"]
    assert to_json(citation)["boxes"] == [pytest.approx(box)]
    # The line has its baseline 400 points above the lower edge of a page of 792.
    assert box["page"] == 3
    assert box["y0"] < 792 - 400 <= box["y1"] < 792 - 400 + 4


def test_known_files_are_many_and_each_about_a_subject_of_its_own() -> None:
    files = known_files()

    assert len(files) == 120
    assert len({file.question.partition(" pump")[0].rpartition(" ")[2] for file in files}) == 120
