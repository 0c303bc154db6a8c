"""Tells headings that have no mark: in plain text, and in what PDF and HTML become."""

from __future__ import annotations

import re

from trivium_evidence.language import is_chinese

__all__ = ["FIELD", "MAIL_FIELD", "Group", "goes_on", "is_bare_list", "is_headed", "with_headings"]

Group = tuple[str, list[str]]
"""Neighbouring lines of a kind, and the kind."""

# A line between two paragraphs that ends in no mark is a heading up to these lengths.
_MAX_HEADING_CHARS = 80
_MAX_HEADING_CHARS_CHINESE = 28
# More such lines in a row than this are a list without marks.
_MAX_HEADINGS_IN_A_ROW = 2
# A line of a list without marks is no longer than this.
_MAX_BARE_ITEM_CHARS = 60
# A heading right above its paragraph is shorter than the first line of that by so many characters.
_MIN_ROOM = 30
_UNLIKE_HEADING = re.compile(r"^[a-z]|^[^\w\"'“‘「『《(（*]|[.!?:;,…。！？：；，、|`\t]")
_ENDED = re.compile(r"[.!?:;,…。！？：；，、]$")
# Lines of a form, as above a mail or minutes: each stands alone.
FIELD = re.compile(r"[A-Z][\w-]{1,20}(?: [\w-]{1,20})?: \S")
MAIL_FIELD = re.compile(
    r"(?:From|To|Cc|Bcc|Subject|Date|Sent|Reply-To|Von|An|Kopie|Gesendet|Betreff|Datum): \S"
    r"|(?:发件人|收件人|抄送|主题|日期)[:：]"
)
# What follows the name of a field in a title that only looks like one: "Runbook: answers come late again".
_CLAUSE = re.compile(r"[^:]+: [a-z]\S*(?: [a-z]\S*){3}")


def with_headings(groups: list[Group]) -> list[Group]:
    """The groups, those recognized that are headings without a mark: in plain text, and in what PDF and HTML become."""
    kinds = [*(kind for kind, _ in groups), ""]
    alike = [_looks_like_heading(*group, kinds[place + 1]) for place, group in enumerate(groups)]
    if len(groups) > 1 and _is_title(*groups[0]):
        alike[0] = True
    found: list[Group] = []
    position = 0
    while position < len(groups):
        end = position
        while end < len(groups) and alike[end]:
            end += 1
        following = groups[end] if end < len(groups) else ("", [])
        row = end - position
        is_torn = following[0] == "prose" and row and goes_on(groups[end - 1][1][0], following[1][0])
        # The last line of a passage may be the heading of the next one.
        if 0 < row <= _MAX_HEADINGS_IN_A_ROW and not is_torn and (following[1] or (row == 1 and found)):
            found += [("heading", texts) for _, texts in groups[position:end]]
        else:
            found += groups[position:end]
        found += groups[end : end + 1]
        position = end + 1
    return found


def _looks_like_heading(kind: str, texts: list[str], next_kind: str) -> bool:
    line = texts[0]
    # A list of one item with a number is a heading with a number.
    if len(texts) > 1 or not (kind == "prose" or (kind == "step" and next_kind == "prose")):
        return False
    longest = _MAX_HEADING_CHARS_CHINESE if is_chinese(line) else _MAX_HEADING_CHARS
    return len(line) <= longest and not _UNLIKE_HEADING.search(line)


def _is_title(kind: str, texts: list[str]) -> bool:
    """Whether the first line of a passage is its title, which may have marks within."""
    line = texts[0]
    if kind not in ("prose", "item") or len(texts) > 1 or not (line[0].isupper() or line[0].isdigit()):
        return False
    is_field = FIELD.match(line) is not None and not _CLAUSE.match(line)
    return len(line) <= _MAX_HEADING_CHARS and not is_field and _ENDED.search(line) is None


def is_headed(lines: list[str]) -> bool:
    """Whether the first line of a paragraph is its heading: the next begins anew, though it had room there."""
    return (
        len(lines) > 1
        and len(lines[0]) + _MIN_ROOM <= len(lines[1])
        and lines[1][:1].isupper()
        and _looks_like_heading("prose", lines[:1], "prose")
    )


def is_bare_list(lines: list[str]) -> bool:
    """Whether the lines of a paragraph are a list without marks, below its heading."""
    return len(lines) > _MAX_HEADINGS_IN_A_ROW and all(
        len(line) <= _MAX_BARE_ITEM_CHARS and line[:1].isupper() and _ENDED.search(line) is None for line in lines
    )


def goes_on(prose: str, following: str) -> bool:
    """Whether a paragraph was torn apart, as extraction from PDF and HTML does."""
    first = following.lstrip()[:1]
    ended = prose.rstrip("\"'”’)]」』）").endswith((".", "!", "?", ":", "。", "！", "？", "：", "…"))
    return not ended and (first.islower() or first in ",.;:)，。；：）" or prose.count("(") > prose.count(")"))
