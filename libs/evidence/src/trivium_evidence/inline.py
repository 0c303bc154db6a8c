"""Removes the markup within lines that means nothing in an answer: links, emphasis, tags, marks of notes."""

from __future__ import annotations

import re

# Every repetition is bounded, so that no text, however hostile, takes more than linear time.
_INLINE = (
    (re.compile(r"<!--.{0,1000}?-->"), " "),
    (re.compile(r"!\[[^\]\n]{0,200}\]\([^)\n]{0,500}\)"), " "),
    (re.compile(r"\[([^\[\]\n]{1,200})\]\([^()\n]{0,500}\)"), r"\1"),
    (re.compile(r"<(https?://[^>\s]{1,500})>"), r"\1"),
    (re.compile(r"</?[a-zA-Z][a-zA-Z0-9]{0,15}(?:\s[^<>\n]{0,500})?/?>"), " "),
    # Marks of the source's own notes would read as citations of ours.
    (
        re.compile(
            r"\s?[\[【［](?:\^?[0-9０-９]{1,4}|note \d+|citation needed|注\s?\d+)(?:[,，、\s–-]+\d{1,4})*[\]】］]"
        ),
        "",
    ),
    (re.compile(r"(\*\*\*|\*\*|__)(?=\S)(.{1,300}?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]{1,300}?)(?<=[^\s*])\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w_])_(?=[^\s_])([^_\n]{1,300}?)(?<=[^\s_])_(?![\w_])"), r"\1"),
    (re.compile(r"\\([\\`*_{}\[\]()#+.!|>-])"), r"\1"),
)
_CODE_SPAN = re.compile(r"(?<!`)(`{1,3})(?!`).{1,200}?(?<!`)\1(?!`)")


def strip_inline(text: str) -> str:
    """A text without inline markup, on one line; code spans stay as they are."""
    parts: list[str] = []
    end = 0
    for match in _CODE_SPAN.finditer(text):
        parts += [_strip_prose(text[end : match.start()]), match.group()]
        end = match.end()
    parts.append(_strip_prose(text[end:]))
    return " ".join("".join(parts).split())


def _strip_prose(text: str) -> str:
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return text
