"""What a query demands word for word: "phrases" that must occur, and -words that must not."""

import functools
from dataclasses import dataclass

import regex

from trivium_lexical.folding import fold, normalize

__all__ = ["ParsedQuery", "occurs", "parse_query"]

_NO_SPACES_AROUND = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD_WITH_SPACES = rf"[\w--[{_NO_SPACES_AROUND}]]"
_MARKS = '"\uff02\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\u300e\u300f'
# A quote opens before a word and closes after one: 5" and 6" are inches. French leaves a space within its own. A hyphen
# excludes before a word that stands by itself: not in PPR-9087, not before a number, an option (-v, --verbose) or a
# space. Where words have no spaces around them, quotes have none either, and a character may be a word.
_QUOTED = (
    rf"(?:\u00ab\s|[{_MARKS}--[\u300d\u300f]](?=\S))(?P<phrase>[^{_MARKS}]*[^\s{_MARKS}])"
    rf"(?:\s\u00bb|[{_MARKS}--[\u201e\u300c\u300e]])(?!{_WORD_WITH_SPACES})"
)
_DEMAND = regex.compile(
    rf"(?V1)(?<!\S)(?P<without>[-\uff0d])(?P<word>\p{{L}}(?:[\w'.+#\&\-]*\w[+#]*|[+#]+)|[{_NO_SPACES_AROUND}])"
    rf"|(?<!{_WORD_WITH_SPACES})(?P<not>(?<!\S)[-\uff0d])?{_QUOTED}"
)
_SPACES = regex.compile(r"\s+")
_LETTER = regex.compile(r"[\p{L}\p{M}\p{N}]")
_EDGE_LETTER = regex.compile(rf"(?V1)[[\p{{L}}\p{{M}}\p{{N}}]--[{_NO_SPACES_AROUND}]]")

MAX_DEMANDS = 32
"""Most phrases and exclusions of one query. What has more is no demand but text with quotes, as code that is pasted."""


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query, and what it demands.

    Attributes:
        text: What to look for: the query without quotes and exclusions. Blank if it only excludes.
        phrases: What must occur in each passage.
        exclusions: What must not occur in any.
    """

    text: str
    phrases: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()

    def allows(self, passage: str) -> bool:
        """Whether a passage has all phrases and no exclusion."""
        text = _comparable(passage)
        return all(_has(text, phrase) for phrase in self.phrases) and not any(
            _has(text, word) for word in self.exclusions
        )


def parse_query(query: str) -> ParsedQuery:
    """Read what a query demands. A query without quotes and exclusions, or with too many, stays as it is."""
    phrases: dict[str, None] = {}
    exclusions: dict[str, None] = {}

    def read(match: regex.Match[str]) -> str:
        said = match["word"] or match["phrase"]
        demanded = _without_edges(said)
        if not demanded:
            return str(match[0])
        if match["without"] or match["not"]:
            exclusions.setdefault(demanded)
            return " "
        phrases.setdefault(demanded)
        return str(said)

    text = _DEMAND.sub(read, query)
    if len(phrases) + len(exclusions) > MAX_DEMANDS:
        return ParsedQuery(query)
    if exclusions:
        text = _SPACES.sub(" ", text).strip()
    return ParsedQuery(text, tuple(phrases), tuple(exclusions))


def _without_edges(said: str) -> str:
    """What is demanded, without punctuation before and after it, but for that of .NET, C++ and C#."""
    start, end = 0, len(said)
    while start < end and not (said[start].isalnum() or said[start] in ".#+"):
        start += 1
    while end > start and not (said[end - 1].isalnum() or said[end - 1] in "#+%"):
        end -= 1
    return said[start:end] if any(character.isalnum() for character in said[start:end]) else ""


def occurs(phrase: str, passage: str) -> bool:
    """Whether a passage has a phrase, as whole words; case, accents, presentation forms and line ends do not matter."""
    return _has(_comparable(passage), phrase)


def _comparable(text: str) -> str:
    return " ".join(fold(normalize(text)).split())


_comparable_phrase = functools.lru_cache(maxsize=256)(_comparable)


def _has(text: str, phrase: str) -> bool:
    """Whether a text, made comparable, has a phrase as whole words. No expression does it in so little time."""
    phrase = _comparable_phrase(phrase)
    starts, ends = _EDGE_LETTER.match(phrase[0]), _EDGE_LETTER.match(phrase[-1])
    at = text.find(phrase)
    while at >= 0:
        before, after = text[max(0, at - 1) : at], text[at + len(phrase) : at + len(phrase) + 1]
        if not (starts and _LETTER.match(before)) and not (ends and _LETTER.match(after)):
            return True
        at = text.find(phrase, at + 1)
    return False
