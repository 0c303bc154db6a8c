"""What a query demands word for word: "phrases" that must occur, and -words that must not."""

import functools
from dataclasses import dataclass

import regex

from trivium_lexical.folding import fold, normalize

__all__ = ["ParsedQuery", "occurs", "parse_query"]

# A quote opens before a word and closes after one: 5" and 6" are inches. A hyphen excludes before a word that stands by
# itself: not in PPR-9087, not before a number, an option (-v, --verbose) or a space.
_QUOTED = (
    r"[\"\u201c\u201d\u201e](?=\S)(?P<phrase>[^\"\u201c\u201d\u201e]*[^\s\"\u201c\u201d\u201e])[\"\u201c\u201d](?!\w)"
)
_DEMAND = regex.compile(
    rf"(?<!\S)(?P<without>-)(?P<word>\p{{L}}(?:[\w'.+#&-]*\w[+#]*|[+#]+))"
    rf"|(?<!\w)(?P<not>(?<!\S)-)?{_QUOTED}"
)
_SPACES = regex.compile(r"\s+")
_NO_SPACES_AROUND = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_EDGE_LETTER = regex.compile(rf"(?V1)[[\p{{L}}\p{{M}}\p{{N}}]--[{_NO_SPACES_AROUND}]]")


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
        return all(occurs(phrase, passage) for phrase in self.phrases) and not any(
            occurs(word, passage) for word in self.exclusions
        )


def parse_query(query: str) -> ParsedQuery:
    """Read what a query demands. A query without quotes and exclusions stays as it is."""
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
    return _pattern_of(phrase).search(fold(normalize(passage))) is not None


@functools.lru_cache(maxsize=256)
def _pattern_of(phrase: str) -> regex.Pattern[str]:
    words = fold(normalize(phrase)).split()
    before = r"(?<![\p{L}\p{M}\p{N}])" if _EDGE_LETTER.match(words[0][0]) else ""
    after = r"(?![\p{L}\p{M}\p{N}])" if _EDGE_LETTER.match(words[-1][-1]) else ""
    return regex.compile(before + r"\s+".join(map(regex.escape, words)) + after)
