"""`trivium models`: the catalog, without a gateway."""

import json
import re
import sys

import pytest
from trivium_catalog import catalog
from trivium_client.cli.app import main

Capture = pytest.CaptureFixture[str]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """Runs the command where no gateway is; gives its exit status."""
    monkeypatch.setenv("TRIVIUM_GATEWAY", "127.0.0.1:1")
    monkeypatch.setattr(sys, "argv", ["trivium", "models", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_models_are_a_row_each(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert run(monkeypatch) == 0

    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[1]) for row in rows] == [(entry.kind, entry.name) for entry in catalog()]
    found = {(row[0], row[1]): row for row in rows}
    e5 = found["embed", "intfloat/e5-large-v2"]
    assert e5[2:7] == ["local", "1024", "512", "MIT", "architecture"]
    assert found["embed", "jinaai/jina-embeddings-v3"][6].startswith("cannot run: it needs code")
    assert found["generate", "meta-llama/Llama-2-70b-chat-hf"][8:] == ["138 GB", "328 MB"]
    assert e5[8:] == ["-", "-"]


@pytest.mark.parametrize("columns", [80, 100])
def test_models_on_a_terminal_fit_into_it_with_their_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # rich takes the captured output for a terminal
    monkeypatch.setenv("NO_COLOR", "1")
    assert run(monkeypatch) == 0

    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= columns
    heading, llama = (next(line for line in lines if line.startswith(start)) for start in ("generate", "meta-llama/"))
    assert heading.split() == ["generate", "Tokens", "Weights", "KV/1k"]
    assert llama.split() == ["meta-llama/Llama-2-70b-chat-hf", "4096", "138", "GB", "328", "MB"]
    assert len(heading) == len(llama)
    for entry in catalog():
        assert sum(line.split()[:1] == [entry.name] for line in lines) >= 1, entry.name


@pytest.mark.parametrize("kind", ["embed", "sparse", "rerank", "generate"])
def test_models_of_a_kind_are_only_these(monkeypatch: pytest.MonkeyPatch, capsys: Capture, kind: str) -> None:
    assert run(monkeypatch, "--kind", kind) == 0

    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == sum(entry.kind == kind for entry in catalog())
    assert all(row.startswith(f"{kind}\t") for row in rows)


def test_models_as_json_have_prompts_and_settings(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert run(monkeypatch, "--kind", "embed", "--json") == 0

    models = {model["name"]: model for model in json.loads(capsys.readouterr().out)["models"]}
    assert models["intfloat/e5-large-v2"]["prompts"] == {"query": "query: ", "document": "passage: "}
    assert models["intfloat/e5-large-v2"]["settings"] == ["TRIVIUM_EMBED_MODEL=intfloat/e5-large-v2"]
    assert models["jinaai/jina-embeddings-v3"]["settings"] == []


def test_models_of_an_unknown_kind_are_wrong_usage(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert run(monkeypatch, "--kind", "speech") == 2
    assert "speech" in capsys.readouterr().err


def test_models_help_has_examples(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert run(monkeypatch, "--help") == 0
    assert "Examples" in capsys.readouterr().out
