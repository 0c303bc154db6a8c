"""Front matter: the facts that stand before the text of Markdown, between lines of `---` (YAML) or `+++` (TOML)."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

__all__ = ["FrontMatter", "front_matter"]

_BLOCK = re.compile(
    r"(?P<fence>---|\+\+\+)[ \t]*\n(?P<facts>.{0,16000}?\n)??(?:(?P=fence)|\.\.\.)[ \t]*(?:\n{1,100}|\Z)", re.S
)
_FIRST_FACT = re.compile(r"\s*(?:#[^\n]*\n\s*)*[\w\"'-][\w .\"'-]{0,60}\s*[:=]")

_KEPT = frozenset(["author", "authors", "categories", "category", "date", "keywords", "lang", "language"]) | frozenset(
    ["slug", "source", "status", "tags", "topic", "updated", "url", "version"]
)
"""Facts that become metadata. Others are a generator's own settings, and a collection's keys are limited in number."""
_MOST_VALUE_CHARACTERS = 200
_MOST_VALUES = 50


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What stands before a text.

    Attributes:
        title: The title; may be empty.
        metadata: Other facts, all of them text or lists of texts.
        end: Where the text begins, in code points; 0 if there is no front matter.
    """

    title: str = ""
    metadata: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    end: int = 0


def front_matter(text: str) -> FrontMatter:
    """Read the front matter of a text, which is none of its text even where it cannot be understood."""
    block = _BLOCK.match(text)
    facts = (block["facts"] or "") if block else ""
    if block is None or (facts.strip() and not _FIRST_FACT.match(facts)):
        return FrontMatter()
    end = block.end()
    try:
        # The base loader leaves each value as it is written: a version 1.10 is no number.
        found = tomllib.loads(facts) if block["fence"] == "+++" else yaml.load(facts, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, tomllib.TOMLDecodeError, ValueError, RecursionError):
        return FrontMatter(end=end)
    if not isinstance(found, dict):
        return FrontMatter(end=end)
    values = {str(key).lower(): _value(value) for key, value in found.items()}
    title = values.get("title")
    kept = {key: value for key, value in values.items() if key in _KEPT and value}
    return FrontMatter(title if isinstance(title, str) else "", kept, end)


def _value(value: object) -> str | list[str]:
    """Give a fact as text; of a list, those that are texts; nothing of what is nested deeper or is no fact but text."""
    if isinstance(value, list):
        return [text for one in value[:_MOST_VALUES] if isinstance(text := _value(one), str) and text]
    if value is None or isinstance(value, dict):
        return ""
    text = " ".join(str(value).split())
    return text if len(text) <= _MOST_VALUE_CHARACTERS else ""
