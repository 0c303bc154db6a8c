"""Reads the catalog, `models.toml`."""

import functools
import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

Kind = Literal["embed", "sparse", "rerank", "generate"]
Tested = Literal["weights", "architecture", "protocol", "no"]

_DEFAULT_BACKENDS = {"embed": "local", "sparse": "local", "rerank": "late-interaction", "generate": "extractive"}
_DATE = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2})$")
_API_BACKENDS = ("openai", "cohere", "anthropic")


@dataclass(frozen=True, slots=True)
class Prompts:
    """What is put before a text, by its role."""

    query: str = ""
    """Before a query."""
    document: str = ""
    """Before a text to be found."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A model."""

    name: str
    """The value of the model's setting."""
    kind: Kind
    """The service that runs it; `sparse` for a learned sparse model, which embed runs beside its own."""
    backend: str
    """The value of that service's backend setting."""
    licence: str
    """SPDX identifier, or the name of the terms."""
    good_for: str
    """What it is good for, in a few words."""
    tested: Tested
    """What this version was tested with: the published `weights`, a tiny random model of the same `architecture` and
    files, a server of the tests that speaks the API's `protocol`, or nothing of these (`no`)."""
    architecture: str = ""
    """The transformer's kind; empty where it is not known or there is none."""
    dimension: int = 0
    """Numbers per vector; 0 where there are none."""
    least_dimension: int = 0
    """Fewest numbers to which its vectors may be cut; 0 if it was not trained for that."""
    max_tokens: int = 0
    """Longest input in tokens, as the publisher states it; 0 for no limit."""
    pooling: str = ""
    """How token embeddings become one vector; empty where it is not known or there is none."""
    prompts: Prompts = Prompts()
    """What is put before a text."""
    weights_gb: float = 0.0
    """Size of a language model's weights in its published precision, in 10^9 bytes; 0 where it runs elsewhere."""
    cache_kib_per_token: float = 0.0
    """Most bytes of its keys and values for one token in 16 bits, in units of 2^10."""
    obstacle: str = ""
    """Why this version cannot run it; empty when it can."""

    @property
    def settings(self) -> tuple[str, ...]:
        """The lines, `NAME=value`, that make the service use it; none when this version cannot run it.

        The value of an API's key is `...`.
        """
        if self.obstacle:
            return ()
        prefix = "TRIVIUM_EMBED_SPARSE" if self.kind == "sparse" else f"TRIVIUM_{self.kind.upper()}"
        chosen = [] if self.backend == _DEFAULT_BACKENDS[self.kind] else [f"{prefix}_BACKEND={self.backend}"]
        named = [] if self.name == self.backend else [f"{prefix}_MODEL={self.name}"]
        keys = [f"{prefix}_API_KEY=..."] if self.backend in _API_BACKENDS else []
        return (*chosen, *named, *keys) or (f"{prefix}_BACKEND={self.backend}",)


@functools.cache
def catalog() -> tuple[CatalogEntry, ...]:
    """All models, in the order in which they are shown."""
    return tuple(_entry(dict(table)) for table in _content()["models"])


def missing_prompts(name: str) -> Prompts | None:
    """The prompts that a model was trained with but does not ship; None for a model that the catalog does not know.

    Args:
        name: The model's name or folder; only its last part counts, so a renamed folder is not recognised.
    """
    last = _last_part(name)
    return next((prompts for pattern, prompts in _missing() if pattern.fullmatch(last)), None)


def least_dimension(name: str) -> int:
    """The fewest numbers to which an embedding model's vectors may be cut; 0 if it is not known to bear any.

    Args:
        name: The model's name or folder; only its last part counts, so a renamed folder is not recognised.
    """
    last = _last_part(name)
    known = (entry for entry in catalog() if entry.kind == "embed")
    return next((entry.least_dimension for entry in known if _last_part(entry.name) == last), 0)


def context_tokens(name: str) -> int:
    """The context of a language model in tokens, prompt and answer together; 0 for one that the catalog does not know.

    Args:
        name: The model's name, of which a date at the end does not count.
    """
    undated = _DATE.sub("", name)
    known = {entry.name: entry.max_tokens for entry in catalog() if entry.kind == "generate"}
    return known.get(name) or known.get(undated) or 0


def _last_part(name: str) -> str:
    """What a model is called, without whose it is and at which revision."""
    return name.rstrip("/").rpartition("/")[2].partition("@")[0]


def _entry(table: dict[str, Any]) -> CatalogEntry:
    shipped = Prompts(table.pop("query_prompt", ""), table.pop("document_prompt", ""))
    missing = missing_prompts(table["name"]) if table["kind"] == "embed" else None
    return CatalogEntry(prompts=missing or shipped if shipped == Prompts() else shipped, **table)


@functools.cache
def _missing() -> tuple[tuple[re.Pattern[str], Prompts], ...]:
    return tuple(
        (re.compile(rule["models"]), Prompts(rule["query"], rule["document"])) for rule in _content()["prompts"]
    )


@functools.cache
def _content() -> dict[str, Any]:
    return tomllib.loads(files("trivium_catalog").joinpath("models.toml").read_text(encoding="utf-8"))
