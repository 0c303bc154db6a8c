"""The prompts: one file per language, each with a version, any of which an operator can replace."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from trivium_evidence.language import is_chinese

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Prompt", "load_prompts", "prompt_for"]

LANGUAGES = ("en", "zh")

_PLACEHOLDERS = {
    "system": (),
    "tools": (),
    "passage": ("number", "text"),
    "question": ("passages", "question"),
    "json": ("passages", "question", "schema"),
    "standalone": ("history", "question"),
    "queries": ("history", "question", "count"),
    "hypothetical": ("history", "question"),
}
_LATER_PARTS = ("json", "tools", "standalone", "queries", "hypothetical")


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt of one language.

    Attributes:
        language: `en` or `zh`.
        version: Changes whenever the texts do.
        system: Instructions.
        tools: What follows them if there are tools.
        passage: One passage, with `{number}`, `{title}` and `{text}`.
        question: The last message, with `{passages}` and `{question}`.
        json: The last message if the answer is to be JSON, with `{passages}`, `{question}` and `{schema}`.
        standalone: Asks for a question that stands alone, with `{history}` and `{question}`.
        queries: Asks for several queries, with `{history}`, `{question}` and `{count}`.
        hypothetical: Asks for a passage that might answer, with `{history}` and `{question}`.
    """

    language: str
    version: str
    system: str
    tools: str
    passage: str
    question: str
    json: str
    standalone: str
    queries: str
    hypothetical: str


def load_prompts(folder: Path | None) -> dict[str, Prompt]:
    """The prompts by language.

    Args:
        folder: Where an operator's own `en.toml` and `zh.toml` are; what is missing there is built in.

    Raises:
        ValueError: The folder does not exist, or a file of it lacks a part; says which.
    """
    if folder is not None and not folder.is_dir():
        raise ValueError(f"the prompts folder {folder} does not exist")
    return {language: _load(language, folder) for language in LANGUAGES}


def prompt_for(question: str, prompts: dict[str, Prompt]) -> Prompt:
    """The prompt in the language of a question."""
    return prompts["zh" if is_chinese(question) else "en"]


def _load(language: str, folder: Path | None) -> Prompt:
    name = f"{language}.toml"
    source = folder / name if folder is not None and (folder / name).exists() else resources.files(__name__) / name
    try:
        parts = tomllib.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"the prompt file {source} cannot be read: {error}") from error
    if folder is not None:  # files from before there were these parts
        built_in = tomllib.loads((resources.files(__name__) / name).read_text(encoding="utf-8"))
        for part in _LATER_PARTS:
            parts.setdefault(part, built_in[part])
    for part, placeholders in {"version": (), **_PLACEHOLDERS}.items():
        text = parts.get(part)
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"the prompt file {source} has no text for `{part}`")
        for placeholder in placeholders:
            if f"{{{placeholder}}}" not in text:
                raise ValueError(f"`{part}` in the prompt file {source} has no {{{placeholder}}}")
    return Prompt(language, *(parts[part].strip("\n") for part in ("version", *_PLACEHOLDERS)))
