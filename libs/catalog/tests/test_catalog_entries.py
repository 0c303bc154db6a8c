"""The catalog as data: whole, consistent, and free of anything heavy."""

import subprocess
import sys

import pytest
from trivium_catalog import CatalogEntry, Prompts, catalog, context_tokens, least_dimension, missing_prompts


@pytest.mark.parametrize("entry", catalog(), ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_entry_is_whole(entry: CatalogEntry) -> None:
    assert entry.licence
    assert entry.good_for
    assert entry.kind in ("embed", "sparse", "rerank", "generate")
    assert entry.tested in ("weights", "architecture", "protocol", "no")
    assert not (entry.obstacle and (entry.settings or entry.tested != "no"))
    if entry.kind == "embed":
        assert entry.dimension > 0
        assert 0 <= entry.least_dimension < entry.dimension
        assert entry.max_tokens > 0
    if entry.backend in ("local", "late-interaction", "cross-encoder", "vllm"):
        assert entry.architecture
    assert (entry.weights_gb > 0) == (entry.cache_kib_per_token > 0) == (entry.backend == "vllm")


def test_entries_are_listed_once() -> None:
    keys = [(entry.kind, entry.name) for entry in catalog()]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("intfloat/e5-large-v2", Prompts("query: ", "passage: ")),
        ("/models/e5-base-v2/", Prompts("query: ", "passage: ")),
        ("BAAI/bge-small-en", Prompts("Represent this sentence for searching relevant passages: ", "")),
        ("BAAI/bge-m3", None),
        ("someone/not-e5-large-v2", None),
    ],
)
def test_missing_prompts_follow_the_last_part_of_the_name(name: str, expected: Prompts | None) -> None:
    assert missing_prompts(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Qwen/Qwen3-Embedding-0.6B", 32),
        ("/models/Qwen3-Embedding-0.6B/", 32),
        ("Qwen/Qwen3-Embedding-0.6B@v1", 32),
        ("text-embedding-3-large", 256),
        ("sentence-transformers/all-MiniLM-L6-v2", 0),
        ("text-embedding-ada-002", 0),
        ("someone/unknown", 0),
    ],
)
def test_least_dimension_is_that_of_models_trained_for_it(name: str, expected: int) -> None:
    assert least_dimension(name) == expected


@pytest.mark.parametrize(
    ("name", "tokens"),
    [("gpt-4o", 128_000), ("gpt-4o-2024-08-06", 128_000), ("claude-haiku-4-5-20251001", 200_000), ("my-model", 0)],
)
def test_context_is_that_of_the_name_without_its_date(name: str, tokens: int) -> None:
    assert context_tokens(name) == tokens


def test_settings_name_a_backend_only_where_it_is_not_the_default() -> None:
    settings = {(entry.kind, entry.name): entry.settings for entry in catalog()}
    assert settings["embed", "intfloat/e5-large-v2"] == ("TRIVIUM_EMBED_MODEL=intfloat/e5-large-v2",)
    assert settings["rerank", "BAAI/bge-reranker-base"] == (
        "TRIVIUM_RERANK_BACKEND=cross-encoder",
        "TRIVIUM_RERANK_MODEL=BAAI/bge-reranker-base",
    )
    assert settings["embed", "text-embedding-3-large"] == (
        "TRIVIUM_EMBED_BACKEND=openai",
        "TRIVIUM_EMBED_MODEL=text-embedding-3-large",
        "TRIVIUM_EMBED_API_KEY=...",
    )
    sparse = "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill"
    assert settings["sparse", sparse] == (f"TRIVIUM_EMBED_SPARSE_MODEL={sparse}",)
    assert settings["generate", "extractive"] == ("TRIVIUM_GENERATE_BACKEND=extractive",)


def test_import_takes_the_standard_library_only() -> None:
    code = (
        "import sys, trivium_catalog; trivium_catalog.catalog();"
        " print(*{name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))"
    )
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) <= {"__main__", "trivium_catalog"}
