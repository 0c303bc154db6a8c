"""Whether a question can be understood without the conversation before it.

It leans if it points back ("when was it built?"), goes on ("and in winter?") or asks nothing by itself ("why?").
"""

from __future__ import annotations

import re

from trivium_lexical.folding import fold, simplified
from trivium_lexical.languages import is_function_word

from trivium_gateway.answering.leaning_words import GOES_ON_IN, POINTS_IN, points_in_german

__all__ = ["CHINESE", "KANA", "PERSONS", "WORD", "leans", "says_something"]

# Longer questions say what they are about, and longer words are none.
_LONGEST_LEANING = 500
_LONGEST_WORD = 60
_MOST_WORDS_OF_A_FRAGMENT = 3

CHINESE = re.compile(r"[\u3400-\u9fff]+")
"""A stretch of Chinese."""
KANA = re.compile(r"[\u3041-\u30fa]")
"""A syllable of Japanese."""
WORD = re.compile(r"[^\W_\u3040-\u30ff\u3400-\u9fff]+(?:[-.'\u2019/&_][^\W_\u3040-\u30ff\u3400-\u9fff]+)*(?:\+\+|#)?")
"""A word of a script that has spaces."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


PERSONS = _set("he him his she her hers")
"""What points to a person."""
_POINTS = _set(
    """
    it they them he him she this these those such former latter
    er ihn ihm ihnen dies diese dieser dieses diesem diesen davon damit daran darin dazu dort
    il elle elles lui leur celui celle ceux celles cela ca
    ella ellos ellas esto eso ese esa esos esas este esta
    """
)
# These may point to something earlier in the question itself: How does a bat find its way?
_POINTS_UNLESS_LED = _set(
    """
    its their theirs his her hers itself himself herself themselves
    sein seine seinen seiner ihre ihren ihrer dessen deren son sa ses leurs su sus
    """
)
_VERBS = _set(
    "is are was were be been being am do does did has have had can could will would shall should may might must"
)
_ASKING = _set("what which who whom whose when where why how")
_SAYS_NOTHING = _set(
    """
    many much long far tall old often big kind type sort name named called tell explain please give list describe know
    mean means another else say said different way ways thing things
    """
)
_NO_POINTING = re.compile(
    r"\bit\s+(?:takes?|took|means?|possible|necessary|true|called)\b|\bsuch\s+as\b"
    r"|\b(?:those|these)\s+(?:who|that|which|of|with)\b",
    re.IGNORECASE,
)
_THAT = re.compile(r"\bthat\s*[?.!,]*$", re.IGNORECASE)
_GOES_ON = re.compile(
    r"\W*(?:and|or|but|so|also|(?:what|how) about|(?:what|who|where) else|any others?"
    r"|und|oder|aber|et|ou|mais|y|o|pero|e)\b",
    re.IGNORECASE,
)
_CHINESE_LEANS = re.compile(
    r"[它他她该此]|这|那(?=[个些么里位时，,呢])|其(?![他它中实余])|^(?:还有|以及|另外|而|为什么[？?]?$)|呢[？?]?$"
)
_JAPANESE_LEANS = re.compile(
    r"^(?:では|じゃあ?|それでは|そして|また|なぜ[？?]?$|どうして[？?]?$)|彼|は[？?]$"
    r"|(?<![\u3041-\u309f])[そこ](?:れ|の|こ)(?:[はがをにでものら]|[^\u3041-\u309f])"
)
_KOREAN_LEANS = re.compile(
    r"^(?:그럼|그러면|그리고|그런데|근데|왜\W*$)|(?<!\w)(?:그|이)(?:것|거|곳|게)|(?<!\w)(?:거기|여기)|[은는]\s*\?$"
)


def leans(question: str, language: str) -> bool:
    """Whether a question cannot be understood without what was said before.

    Args:
        question: The question.
        language: Its language, as the analyzer of words tells it.
    """
    if len(question) > _LONGEST_LEANING:
        return False
    if KANA.search(question):
        return bool(_JAPANESE_LEANS.search(question))
    if CHINESE.search(question):
        return bool(_CHINESE_LEANS.search(simplified(question)))
    if _GOES_ON.match(question) or _THAT.search(question) or _KOREAN_LEANS.search(question):
        return True
    if language == "german" and points_in_german(question):
        return True
    first = WORD.search(question)
    if first and fold(first[0]) in GOES_ON_IN.get(language, ()):
        return True
    words = [fold(word) for word in WORD.findall(_NO_POINTING.sub(" ", question))]
    has_led = False
    pointing = POINTS_IN.get(language, frozenset())
    for word in words:
        if word in _POINTS or word in pointing or (word in _POINTS_UNLESS_LED and not has_led):
            return True
        has_led = has_led or says_something(word, language)
    is_fragment = len(words) <= _MOST_WORDS_OF_A_FRAGMENT and not _VERBS & set(words)
    return not has_led or (is_fragment and words[0] in _ASKING)


def says_something(word: str, language: str) -> bool:
    """Whether a word tells what a text is about."""
    folded = fold(word)
    if is_function_word(folded, language) or folded in _SAYS_NOTHING | _POINTS | _POINTS_UNLESS_LED:
        return False
    return 1 < len(folded) <= _LONGEST_WORD or folded.isdigit()
