"""Makes writings of the same characters one: presentation forms, case, accents, traditional Chinese."""

import functools
import unicodedata

import regex

__all__ = ["fold", "normalize", "simplified", "spelt_out"]

_FRACTION_SLASH = {0x2044: "/"}
_DASHES = dict.fromkeys(map(ord, "\u2010\u2012\u2013\u2212"), "-")
_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u02bb\u02bc"), "'")
# What nobody sees and nobody types into a query: soft hyphens, joiners that are no letters, marks of direction.
_INVISIBLE = dict.fromkeys([0xAD, 0x200B, 0x2060, 0xFEFF, 0x200E, 0x200F, *range(0x202A, 0x202F)])
_SAME = str.maketrans({**_DASHES, **_FRACTION_SLASH, **_APOSTROPHES, **_INVISIBLE})

# NFKC makes plain spaces of these, after which nobody can tell "1 249" from two numbers.
_GROUPING_SPACE = regex.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
# NFKC makes 2024¹, 10² and 1½ into 20241, 102 and eleven halves.
_AFTER_DIGIT = regex.compile(r"(?<=\d)(?=[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u207b\u2150-\u215f\u2189])")
_FOREIGN_DIGIT = regex.compile(r"(?V1)[\p{Nd}--[0-9]]")
# Accents of Latin, Greek and Cyrillic letters, vowel points of Hebrew and Arabic, and Arabic's stretching. Marks of
# other scripts are letters: Hindi has vowels among them, Japanese the difference between ka and ga.
_MARKS = regex.compile(r"[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]+")

# Letters whose stroke, dot or second letter Unicode takes for a part of them and people leave out.
_LATIN = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "ŋ": "n", "æ": "ae", "œ": "oe", "þ": "th"}
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})

_HAN = (range(0x3400, 0x4DC0), range(0x4E00, 0xA000))


def normalize(text: str) -> str:
    """Give a text in one form for each character, case and accents left as they are."""
    if text.isascii():
        return text
    text = _AFTER_DIGIT.sub(" ", _GROUPING_SPACE.sub(",", text))
    text = unicodedata.normalize("NFKC", text).translate(_SAME)
    return str(_FOREIGN_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0], digit[0])), text))


def fold(text: str) -> str:
    """Give a normalised text without case and accents: Straße and STRASSE are one, and résumé is resume."""
    text = text.casefold()
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text))).translate(_LATIN)


def spelt_out(text: str) -> str:
    """Give a normalised text as `fold` does, its umlauts as those write them whose keyboard has none: Mueller."""
    return fold(text.casefold().translate(_UMLAUTS))


def simplified(text: str) -> str:
    """Give a text with the simplified form of each traditional Chinese character: 台灣 and 台湾 are one.

    Each by itself, whatever stands around it: what a text has in many words a query may have in one.
    """
    return text if text.isascii() else text.translate(_simplified_forms())


@functools.cache
def _simplified_forms() -> dict[int, str]:
    import opencc

    characters = [chr(code) for codes in _HAN for code in codes]
    forms = opencc.OpenCC("t2s").convert("\n".join(characters)).split("\n")
    return {ord(one): form for one, form in zip(characters, forms, strict=True) if one != form}
