"""How a model that was trained for late interaction reads queries and documents, from its files.

They come in three layouts: sentence-transformers' own (`MultiVectorEncoder`), PyLate's, which has the same in one flat
file, and that of ColBERT itself, with `artifact.metadata` beside the transformer. What the three mean is as
`sentence_transformers.MultiVectorEncoder` understands them.
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trivium_encoders.catalog import Prompts
from trivium_encoders.errors import ModelUnsupported
from trivium_encoders.model_files import first_json, read_json
from trivium_encoders.resolution import ModelFolder

_QUERY_LENGTH = 32
"""Of ColBERT's queries, where the files do not say."""
_PYLATE = (
    "query_length",
    "document_length",
    "query_expansion",
    "do_query_expansion",
    "attend_to_expansion_tokens",
    "attend_to_mask_tokens",
    "query_prefix",
    "document_prefix",
    "skiplist_words",
)
"""What PyLate's configuration has, and no other."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """Tokens that fill up a short query, and are compared with documents like its own."""

    length: int
    """Tokens that a query has at least."""
    cuts: bool
    """Whether it has no more either: what is longer is cut."""
    attended: bool
    """Whether the query's own tokens attend to them."""
    token: str = ""
    """Which token; empty for the tokenizer's mask."""


@dataclass(frozen=True, slots=True)
class LateInteraction:
    """What reading by such a model takes beyond prompts."""

    markers: Prompts
    """Put before the prompt, by role. Where the tokenizer knows a marker as one token, it is that token, and not what
    the tokenizer would make of its letters."""
    query_tokens: int
    """Longest query in tokens."""
    document_tokens: int
    """Longest document in tokens."""
    expansion: Expansion | None
    """What fills up queries."""
    skipped: tuple[str, ...]
    """Tokens that are not compared."""
    skipped_in: tuple[str, ...]
    """The roles of the texts that they are skipped in."""
    obstacle: str = ""
    """Why only the model's own modules can read so; empty when this description is enough."""


def read_late_interaction(
    model: ModelFolder,
    modules: Sequence[Mapping[str, str]],
    options: Mapping[str, Any],
    sentence: Mapping[str, Any],
    own: int,
) -> LateInteraction:
    """How a model reads.

    Args:
        model: The model.
        modules: Of modules.json.
        options: Of config_sentence_transformers.json.
        sentence: What the transformer's module says of itself.
        own: Longest input of the transformer, in tokens.

    Raises:
        ModelUnsupported: The model has no layer that was trained for late interaction.
    """
    if not modules:
        options = _as_pylate(first_json(model.path, ("artifact.metadata",)))
    known = dict(options)
    known |= {key: sentence[key] for key in ("query_length", "document_length", "query_expansion") if key in sentence}
    if modules and not any(module["type"] == "Dense" for module in modules):
        raise ModelUnsupported(f"model {model.name} has no layer of its own for late interaction; choose another")
    masks = [module for module in modules if module["type"] == "MultiVectorMask"]
    mask = read_json(model.path / masks[0]["path"] / "config.json") if masks else _default_mask(options)
    expansion = _expansion(known)
    length = int(known.get("query_length") or 0)
    if expansion and expansion.cuts:
        length = expansion.length
    elif expansion and length:
        length = max(length, expansion.length)
    tasks = mask.get("skiplist_tasks") or ["document"]
    tokenizer = first_json(model.path / (modules[0]["path"] if modules else ""), ("tokenizer_config.json",))
    obstacle = "it compares some kinds of tokens alone" if mask.get("keep_only_token_ids") else ""
    if expansion and tokenizer.get("padding_side") == "left":
        obstacle = "its queries are filled up at the front"
    return LateInteraction(
        markers=Prompts(options.get("query_prefix") or "", options.get("document_prefix") or ""),
        query_tokens=length or own,
        document_tokens=int(known.get("document_length") or own),
        expansion=expansion,
        skipped=tuple(mask.get("skiplist_words") or ()),
        skipped_in=(tasks,) if isinstance(tasks, str) else tuple(tasks),
        obstacle=obstacle,
    )


def _as_pylate(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """ColBERT's own configuration in PyLate's words."""
    return {
        "query_prefix": (metadata.get("query_token_id") or "[unused0]") + " ",
        "document_prefix": (metadata.get("doc_token_id") or "[unused1]") + " ",
        "query_length": metadata.get("query_maxlen"),
        "document_length": metadata.get("doc_maxlen"),
        "attend_to_mask_tokens": metadata.get("attend_to_mask_tokens"),
        "skiplist_words": list(string.punctuation) if metadata.get("mask_punctuation", True) else [],
    }


def _default_mask(options: Mapping[str, Any]) -> dict[str, Any]:
    """PyLate skips punctuation unless told."""
    words = options.get("skiplist_words")
    return {"skiplist_words": list(string.punctuation) if words is None else words}


def _expansion(known: Mapping[str, Any]) -> Expansion | None:
    if "query_expansion" in known:
        declared = known["query_expansion"]
        if not declared:
            return None
        return Expansion(
            int(declared["length"]),
            declared["strategy"] == "fixed",
            bool(declared.get("attend")),
            declared.get("token") or "",
        )
    if known.get("do_query_expansion") is False or not any(key in known for key in _PYLATE):
        return None
    attended = known.get("attend_to_expansion_tokens", known.get("attend_to_mask_tokens"))
    return Expansion(int(known.get("query_length") or _QUERY_LENGTH), cuts=True, attended=bool(attended))
