"""Collections taken out as files and put in again by the command, with the real models: the same answers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.stack import Stack

_KEEPERS = ("Ada", "Bela", "Cleo", "Dora", "Emil")


def _document(number: int) -> dict[str, Any]:
    return {
        "id": f"logs/{number}",
        "title": f"Lighthouse {number}",
        "uri": f"file:///logs/{number}.txt",
        "text": f"The lighthouse number {number} was kept by {_KEEPERS[number % 5]}. Its lamp burns {7 + number} l.",
        "metadata": {"number": number, "area": "north" if number % 2 else "south"},
        "readers": ["*"] if number % 7 else ["user:ann"],
    }


def _command(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trivium_client.cli.app", *arguments, "--gateway", f"127.0.0.1:{stack.grpc_port}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=180)


def _done(stack: Stack, *arguments: str) -> dict[str, Any]:
    outcome = _command(stack, *arguments, "--json")
    assert outcome.returncode == 0, outcome.stderr
    said: dict[str, Any] = json.loads(outcome.stdout)
    return said


def _answers(stack: Stack, collection: str, count: int) -> list[Any]:
    shown = []
    for number in sorted({0, count // 2, count - 1}):
        for question in (f"Who kept the lighthouse number {number}?", f"How many litres burns lamp {number}?"):
            answer = stack.answer(question, collection=collection)
            passages = [
                (one["document_id"], one["text"], one["metadata"], round(one["score"], 4)) for one in answer["passages"]
            ]
            shown.append((answer["answer"], passages))
    return shown


def _embedded_tokens(stack: Stack) -> float:
    lines = stack.http.get("/metrics").text.splitlines()
    named = [one for one in lines if one.startswith("trivium_gateway_tenant_tokens_total") and 'kind="document"' in one]
    return sum(float(one.rsplit(" ", 1)[1]) for one in named)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("count", [1, 50, 200])
def test_collection_is_the_same_after_export_and_import(stack: Stack, tmp_path: Path, count: int, ending: str) -> None:
    name, copy = f"logs-{count}-{ending}", f"copy-{count}-{ending}"
    assert stack.http.post("/v1/collections", json={"name": name}).status_code == 201
    stack.http.patch(f"/v1/collections/{name}", json={"settings": {"candidates": 50}})
    stack.ingest(*map(_document, range(count)), collection=name)
    file = tmp_path / f"logs.{ending}"
    before = _answers(stack, name, count)

    written = _done(stack, "export", name, str(file))
    embedded = _embedded_tokens(stack)
    assert embedded > 0
    taken = _done(stack, "import", str(file), copy)
    again = _done(stack, "import", str(file), copy)

    assert (written["documents"], taken["indexed"], again["unchanged"]) == (count, count, count)
    assert _embedded_tokens(stack) == embedded
    assert _answers(stack, copy, count) == before
    assert stack.http.get(f"/v1/collections/{copy}").json()["settings"]["values"] == {"candidates": 50}
    restricted = stack.http.get("/v1/documents/logs/0", params={"collection": copy}).json()
    assert restricted["readers"] == ["user:ann"]
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_damaged_file_is_refused_before_anything_is_imported(stack: Stack, tmp_path: Path, ending: str) -> None:
    name, copy = f"damaged-{ending}", f"damaged-copy-{ending}"
    assert stack.http.post("/v1/collections", json={"name": name}).status_code == 201
    stack.ingest(*map(_document, range(5)), collection=name)
    file = tmp_path / f"logs.{ending}"
    _done(stack, "export", name, str(file))
    whole = file.read_bytes()
    damages = {
        "cut": whole[: len(whole) // 2],
        "changed": whole[: len(whole) // 3] + bytes([whole[len(whole) // 3] ^ 1]) + whole[len(whole) // 3 + 1 :],
        "empty": b"",
    }

    for damage, data in damages.items():
        file.write_bytes(data)
        outcome = _command(stack, "import", str(file), copy)

        assert outcome.returncode == 6, (damage, outcome.stderr)
        assert "EXPORT_DAMAGED" in outcome.stderr
        assert "Traceback" not in outcome.stderr
    assert stack.http.get(f"/v1/collections/{copy}").status_code == 404


def test_export_that_broke_off_goes_on_where_it_was(stack: Stack, tmp_path: Path) -> None:
    assert stack.http.post("/v1/collections", json={"name": "broken"}).status_code == 201
    stack.ingest(*map(_document, range(200)), collection="broken")
    file, other = tmp_path / "logs.jsonl", tmp_path / "other.jsonl"
    _done(stack, "export", "broken", str(file))
    lines = file.read_bytes().splitlines(keepends=True)
    marks = [place for place, line in enumerate(lines) if line.startswith(b'{"page_token"')]
    broken = b"".join(lines[: marks[1] + 3]) + lines[marks[1] + 3][:50]
    (tmp_path / "other.jsonl.partial").write_bytes(broken)

    _done(stack, "export", "broken", str(other))

    assert other.read_bytes() == file.read_bytes()
