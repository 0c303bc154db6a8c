"""Sends files with known facts to a running stack, asks for each fact, and judges answer and citation."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import httpx
    from documents.known import KnownFile


_WITH_BOXES = (".pdf", ".png")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a fact.

    Attributes:
        file: The file that has it.
        fault: What is wrong; empty if the answer says it and its citation points at it.
        answer: What was answered.
    """

    file: KnownFile
    fault: str
    answer: str


def send(http: httpx.Client, files: Sequence[KnownFile], collection: str) -> dict[str, str]:
    """Upload files under their names; gives the errors by name."""
    errors: dict[str, str] = {}
    for file in files:
        response = http.post(
            "/v1/documents",
            files={"file": (file.name, file.data)},
            data={"id": file.name, "collection": collection},
            timeout=300,
        )
        response.raise_for_status()
        for result in response.json()["documents"]:
            if result["status"] == "failed":
                errors[result["id"]] = result["error"]["message"]
    return errors


def ask(http: httpx.Client, file: KnownFile, collection: str) -> Outcome:
    """Ask for a fact, among all that is in the collection and without a language model."""
    body = {"question": file.question, "collection": collection, "mode": "extractive"}
    response = http.post("/v1/answer", json=body)
    response.raise_for_status()
    answered = response.json()
    answer = answered["answer"]
    if _plain(file.said) not in _plain(answer):
        return Outcome(file, "the answer lacks it", answer)
    faults = [_fault(http, file, citation, answered["passages"], collection) for citation in answered["citations"]]
    return Outcome(file, min(faults, key=len, default="no citation"), answer)


def _fault(
    http: httpx.Client, file: KnownFile, citation: dict[str, Any], passages: list[dict[str, Any]], collection: str
) -> str:
    document_id = citation["document_id"]
    if not (document_id.startswith(file.name) and document_id.endswith(file.part)):
        return f"it cites the document {document_id}"
    document = http.get(f"/v1/documents/{document_id}", params={"collection": collection})
    document.raise_for_status()
    span = citation["span"]
    if _plain(file.cited) not in _plain(document.json()["text"][span["start"] : span["end"]]):
        return "the cited span lacks it"
    if (citation.get("page") or 0) != file.page:
        return f"it cites page {citation.get('page')}, not {file.page or None}"
    if document_id.endswith(_WITH_BOXES) and not _stands_on_its_page(citation):
        return f"its boxes are {citation['boxes']}"
    if file.heading not in " / ".join(citation.get("heading") or ()):
        return f"it cites under {citation.get('heading')}, not {file.heading}"
    return ""


def _stands_on_its_page(citation: dict[str, Any]) -> bool:
    boxes = citation["boxes"]
    return bool(boxes) and all(
        box["page"] == (citation["page"] or 1) and 0 <= box["x0"] < box["x1"] and 0 <= box["y0"] < box["y1"]
        for box in boxes
    )


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def report(outcomes: Iterable[Outcome]) -> str:
    """Count what is right, by format, as a table in Markdown."""
    by_format: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_format["".join(PurePath(outcome.file.name).suffixes)].append(outcome)
    lines = ["| Format | Right | Not right |", "|---|---|---|"]
    for ending, found in by_format.items():
        wrong = "; ".join(f"{outcome.file.place}: {outcome.fault}" for outcome in found if outcome.fault)
        lines.append(f"| `{ending}` | {sum(not each.fault for each in found)} of {len(found)} | {wrong} |")
    return "\n".join(lines)
