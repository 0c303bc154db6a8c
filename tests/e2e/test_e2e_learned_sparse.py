"""Learned sparse vectors with a real model: put on, asked by, missed while they are away, and taken elsewhere."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from model_services.sparse_models import write_sparse_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from e2e.stack import Stack

_TEXTS = (
    "The big red dog chases the cat.",
    "A small blue bird sees the cat on the dog.",
    "One, two, three green birds.",
)
_QUERY = "dog and cat"


def _command(stack: Stack, *arguments: str) -> None:
    command = [sys.executable, "-m", "trivium_client.cli.app", *arguments, "--gateway", f"127.0.0.1:{stack.grpc_port}"]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert outcome.returncode == 0, outcome.stderr


def _scores(stack: Stack, collection: str) -> dict[str, float]:
    """The learned leg's score of each document."""
    found = stack.http.post("/v1/retrieve", json={"query": _QUERY, "collection": collection}).json()
    assert found["degraded"] == []
    return {one["document_id"]: one["scores"]["learned"] for one in found["passages"]}


def _weights(stack: Stack, text: str, role: str) -> dict[int, float]:
    """What the embed service gives for a text."""
    body = {"model": "trivium", "input": [text], "sparse": True, "input_type": role}
    row = stack.http.post("/v1/embeddings", json=body).json()["data"][0]["sparse_embedding"]
    return dict(zip(row["indices"], row["values"], strict=True))


def test_collection_is_searched_by_a_real_sparse_model(make_stack: Callable[..., Stack], tmp_path: Path) -> None:
    model = str(write_sparse_model("doc", tmp_path / "model"))
    stack = make_stack(TRIVIUM_EMBED_SPARSE_MODEL=model)
    stack.start()
    stack.wait_ready()
    _command(stack, "collections", "create", "birds")
    stack.ingest(*({"id": str(number), "text": text} for number, text in enumerate(_TEXTS)), collection="birds")

    _command(stack, "collections", "set", "birds", "--set", "learned_sparse=true")
    _command(stack, "reindex", "birds")
    scores = _scores(stack, "birds")
    query = _weights(stack, _QUERY, "query")
    expected = {}
    for number, text in enumerate(_TEXTS):
        document = _weights(stack, text, "document")
        expected[str(number)] = sum(weight * document.get(word, 0.0) for word, weight in query.items())
    assert scores == pytest.approx(expected, rel=1e-4)

    file = str(tmp_path / "birds.parquet")
    _command(stack, "export", "birds", file)
    _command(stack, "import", file, "copy")
    assert _scores(stack, "copy") == pytest.approx(expected, rel=1e-4)

    stack.end("embed")
    del stack.environ["TRIVIUM_EMBED_SPARSE_MODEL"]
    stack.start("embed")
    stack.wait_stage("embed", ready=False)
    stack.wait_stage("embed", ready=True)
    without: Any = stack.answer("Which birds are green?", collection="birds")
    assert [one["stage"] for one in without["degraded"]] == ["search.learned"]
    assert without["passages"]
