"""The drill of docs/operations.md: back up, lose everything, restore, and find everything again."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from contract.qdrant_under_test import running_server
from documents.known.prints import Page as Print
from documents.known.prints import pdf

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.stack import Stack

_PAGE = Path(__file__).parents[2] / "docs/operations.md"
_ADMIN = "tv_0011223344_" + "x" * 43
_SCAN = pdf(Print().lines("Belt 31 is made of rubber."))
_QUESTION = "After how many months is the filter of the pump replaced?"


@pytest.mark.skipif(running_server() is not None, reason="the server's files are elsewhere")
def test_backup_restored_after_total_loss_gives_the_same_documents_and_answer(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(TRIVIUM_GATEWAY_AUTH="keys", TRIVIUM_GATEWAY_ADMIN_KEY=_ADMIN)
    stack.http.headers["Authorization"] = f"Bearer {_ADMIN}"
    stack.start()
    stack.wait_ready()
    documents: list[dict[str, Any]] = [
        {
            "id": f"report-{number}",
            "title": f"Report {number}",
            "text": f"Report {number} says that belt {number} held.",
        }
        for number in range(30)
    ]
    documents.append(
        {"id": "pump", "text": "The filter of the pump is replaced after 18 months.", "metadata": {"y": 1}}
    )
    stack.ingest(*documents)
    stack.http.post("/v1/collections", json={"name": "second"}).raise_for_status()
    stack.ingest({"id": "other", "text": "Another collection."}, collection="second")
    scan = {"file": ("belt.pdf", _SCAN)}
    stack.http.post("/v1/documents", files=scan, data={"id": "belt.pdf"}).raise_for_status()
    stack.http.post("/v1/keys", json={"name": "ann"}).raise_for_status()
    rated = {"request_id": stack.answer(_QUESTION)["request_id"], "rating": 1}
    stack.http.post("/v1/feedback", json=rated).raise_for_status()
    before = _state(stack)

    stack.end(by=signal.SIGTERM)
    folder, archive = stack.folder, stack.folder / "backup.tar"
    data = folder / ".data"  # as the page calls it
    (folder / "data").rename(data)
    (folder / "data").symlink_to(data)
    page = _PAGE.read_text(encoding="utf-8")
    (pack,) = re.findall(r"^\$ (tar -C \.data .+)\n```", page, re.MULTILINE)
    (restore,) = re.findall(r"^```console\n((?:\$ .+\n)+?)\$ make up\n```", page[page.index(pack) :], re.MULTILINE)
    length_bytes, disk_bytes = _sizes(data / "qdrant")
    _run(pack, folder)
    assert length_bytes > 10 * disk_bytes, "nothing here has holes: this shows nothing"
    assert archive.stat().st_size < 2 * disk_bytes
    for broken in (data / "qdrant").rglob("*.json"):
        broken.write_text("broken")
    for command in restore.splitlines():
        _run(command.removeprefix("$ "), folder)
    assert _sizes(data / "qdrant")[1] < 2 * disk_bytes
    stack.start()
    stack.wait_ready()

    assert _state(stack) == before
    assert "18 months" in before["answer"]
    assert before["file"] == _SCAN.hex()
    assert before["keys"]
    assert before["feedback"]
    assert [result["status"] for result in stack.ingest(*documents)] == ["unchanged"] * len(documents)


def _run(command: str, folder: Path) -> None:
    subprocess.run(shlex.split(command), cwd=folder, check=True)


@pytest.mark.parametrize("page", sorted(_PAGE.parent.glob("*.md")), ids=lambda page: page.stem)
def test_page_packs_and_copies_data_with_their_holes(page: Path) -> None:
    commands = re.findall(r"(?:\btar|--entrypoint tar) [^`\n]*-c\w*f [^`\n]*", page.read_text(encoding="utf-8"))

    assert not [command for command in commands if "--sparse" not in command]


def _sizes(folder: Path) -> tuple[int, int]:
    """How long the files of a folder are together, and what they take of the disk."""
    stats = [file.stat() for file in folder.rglob("*") if file.is_file()]
    return sum(one.st_size for one in stats), sum(one.st_blocks * 512 for one in stats)


def _state(stack: Stack) -> dict[str, Any]:
    """What a person would compare: collections, every document with its text, and an answer with its citations."""
    answer = stack.answer(_QUESTION)
    assert answer["degraded"] == []
    feedback = stack.http.get("/v1/feedback").raise_for_status()
    collections = [entry["name"] for entry in stack.http.get("/v1/collections").json()["collections"]]
    return {
        "documents": {name: _documents(stack, name) for name in collections},
        "answer": answer["answer"],
        "citations": json.dumps(answer["citations"], sort_keys=True),
        "file": stack.http.get("/v1/files/belt.pdf").raise_for_status().content.hex(),
        "keys": [(key["id"], key["name"]) for key in stack.http.get("/v1/keys").raise_for_status().json()["keys"]],
        "feedback": [(one["request_id"], one["rating"]) for one in feedback.json()["feedback"]],
        "passages": [(passage["id"], passage["text"]) for passage in answer["passages"]],
    }


def _documents(stack: Stack, collection: str) -> list[dict[str, Any]]:
    """Every document of a collection with its text, page by page."""
    listed: list[dict[str, Any]] = []
    token = ""
    while True:
        query: dict[str, str | int] = {"collection": collection, "page_size": 20, "page_token": token}
        page = stack.http.get("/v1/documents", params=query).raise_for_status().json()
        for document in page["documents"]:
            whole = stack.http.get(f"/v1/documents/{document['id']}", params={"collection": collection})
            listed.append(whole.raise_for_status().json())
        token = page["next_page_token"]
        if not token:
            return listed
