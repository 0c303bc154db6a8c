"""Where the parts of a learned sparse model are, from its files.

Such a model is sentence-transformers' `SparseEncoder`: a masked language model whose words for each place are pooled to
one weight per word of the vocabulary (SPLADE; Formal et al., "SPLADE v2", 2021). Some have a way of their own for
queries, a table with one weight per token, so that a query needs no model at all (Geng et al., "Towards Competitive
Search Relevance for Inference-Free Learned Sparse Retrievers", 2024).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trivium_encoders.model_files import read_json

_TRANSFORMERS = ("Transformer", "MLMTransformer")
_TABLE = "SparseStaticEmbedding"


@dataclass(frozen=True, slots=True)
class SparseLayout:
    """The folders of a learned sparse model."""

    transformer: Path
    """The masked language model's."""
    others: tuple[Path, ...]
    """Of what else makes its vectors."""
    query_table: Path | None
    """The table of weights that queries are read with; None for a model that reads queries as documents."""


def read_sparse_layout(folder: Path, modules: Sequence[Mapping[str, str]], declared: str) -> SparseLayout | None:
    """A model's layout; None for a model of another kind.

    Args:
        folder: Its files.
        modules: The entries of its modules.json.
        declared: What its files call the model.

    Raises:
        ModelDamaged: A file is missing or is not JSON.
    """
    names = [module["type"] for module in modules]
    if names[:1] == ["Router"]:
        return _routed(folder / modules[0]["path"])
    if names[:1] and names[0] in _TRANSFORMERS and ("SpladePooling" in names or declared == "SparseEncoder"):
        first, *others = (folder / module["path"] for module in modules)
        return SparseLayout(first, tuple(others), None)
    return None


def _routed(folder: Path) -> SparseLayout | None:
    router = read_json(folder / "router_config.json")
    types: Mapping[str, str] = router.get("types") or {}
    routes: Mapping[str, Sequence[str]] = router.get("structure") or {}
    kinds = {name: [types.get(part, "").rpartition(".")[2] for part in parts] for name, parts in routes.items()}
    if "SpladePooling" not in kinds.get("document", []) or kinds["document"][0] not in _TRANSFORMERS:
        return None
    parts = dict.fromkeys(part for route in routes.values() for part in route)
    first = routes["document"][0]
    table = folder / routes["query"][0] if kinds.get("query") == [_TABLE] else None
    others = tuple(folder / part for part in parts if part != first)
    return SparseLayout(folder / first, others, table if table and (table / "model.safetensors").is_file() else None)
