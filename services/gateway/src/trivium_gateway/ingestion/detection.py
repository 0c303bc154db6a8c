"""Tells the encoding of text that declares none, by which reading of its bytes looks like writing.

A reading is judged by its characters beyond ASCII: common ones of the encoding's languages speak for it, rare ones and
symbols against it, and so do capitals within words and words of two scripts.
"""

import re
from collections import Counter

__all__ = ["detected"]

_SAMPLE_BYTES = 10_000
_BYTE_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_BYTES_BEFORE = 20
_LEAST_SCORE = 0.45
"""By character; below it the bytes are taken for no text at all."""

_MARKS = "«»“”„‘’–—…€°§·\xa0"
_SIGNS = _MARKS + "£²³µ®©ªº¡¿½•™"
"""What texts have beside letters, in whichever language."""
_BOXES = "─│┌┐└┘├┤┬┴┼═║╔╗╚╝╠╣╦╩╬░▒▓█▀▄ \xa0«»°²½¡¿ªº·"
"""The same in encodings of DOS, whose programs draw tables with it."""
_WESTERN = (
    "äöüß",
    "àâçéèêîôû ùëïœæ",
    "áéíóúüñ",
    "áâãàçéêíóôõú",
    "àèéìòù",
    "ëïé èöüáó",
    "åäöé",
    "æøåé",
    "áéíóúýþæöð",
    "àçèéíòóúïü",
)
_CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíľňóôšťúýž ĺŕ", "áéíóöőúüű", "ăâîşţșț", "čćđšž", "äöüß")
_TURKISH = ("çğıöşüâîİ",)
_CYRILLIC = ("абвгдежзийклмнопрстуфхцчшщъыьэюяё№", "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя№")
_GREEK = ("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋ",)
_HEBREW = ("אבגדהוזחטיךכלםמןנסעףפץצקרשת",)
_ARABIC = ("ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهويپچژگ،؛؟",)
_THAI = ("".join(map(chr, (*range(0x0E01, 0x0E3B), *range(0x0E3F, 0x0E5A)))),)
_CANDIDATES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("cp1252", _WESTERN, _SIGNS),
    ("cp850", _WESTERN, _BOXES),
    ("cp437", _WESTERN, _BOXES),
    ("mac_roman", _WESTERN, _SIGNS),
    ("cp1250", _CENTRAL, _MARKS),
    ("iso8859_2", _CENTRAL, ""),
    ("cp852", _CENTRAL, _BOXES),
    ("cp1254", _TURKISH, _MARKS),
    ("cp857", _TURKISH, _BOXES),
    ("cp1255", _HEBREW, _MARKS),
    ("cp862", _HEBREW, _BOXES),
    ("cp1251", _CYRILLIC, _MARKS),
    ("koi8_r", _CYRILLIC, ""),
    ("koi8_u", _CYRILLIC, ""),
    ("cp866", _CYRILLIC, _BOXES),
    ("cp1253", _GREEK, _MARKS),
    ("cp737", _GREEK, _BOXES),
    ("cp874", _THAI, ""),
    ("cp1256", _ARABIC, ""),
    ("iso8859_6", _ARABIC, ""),
)
"""By encoding: the letters of each of its languages, small ones, those behind the blank less common; and other
characters that are common. What comes first wins where two readings are as good."""
_LESS_COMMON = 0.8
_OF_ANOTHER_LANGUAGE = 0.6
"""What a letter counts that the encoding has for a language other than the text's."""
_LEAST_SCORES = dict.fromkeys(("cp437", "cp850", "cp852", "cp857", "cp866", "cp737", "mac_roman"), 0.7)
"""Of encodings in which each byte is a character, so that any bytes are some text."""
_WEIGHTS = {"cp874": 1.1}
"""Thai looks nearly as much like Chinese; Chinese looks less like Thai."""
_DOUBLE_BYTE: tuple[tuple[str, re.Pattern[bytes], re.Pattern[str]], ...] = (
    (
        "cp949",
        re.compile(rb"[\xb0-\xc8][\xa1-\xfe]|\xa1[\xa1-\xbf]"),
        re.compile("[이다는의을가에지하고은서로기사를한도어자리인해시부정전니과대그아나것으스]"),
    ),
    ("gb18030", re.compile(rb"[\xb0-\xd7][\xa1-\xfe]|\xa3[\xa1-\xfe]|\xa1[\xa1-\xbf]"), re.compile("[\u4e00-\u9fff]")),
    ("big5", re.compile(rb"[\xa4-\xc6][\x40-\x7e\xa1-\xfe]|\xa1[\x41-\x7e]"), re.compile("[\u4e00-\u9fff]")),
    (
        "cp932",
        re.compile(rb"[\x82\x83][\x40-\xfc]|[\x88-\x97][\x40-\xfc]|\x81[\x41-\x7a]"),
        re.compile("[\u3041-\u30fa]"),
    ),
    (
        "euc_jp",
        re.compile(rb"[\xa4\xa5][\xa1-\xf6]|[\xb0-\xcf][\xa1-\xfe]|\xa1[\xa1-\xbf]"),
        re.compile("[\u3041-\u30fa]"),
    ),
)
"""By encoding: the bytes of its common characters, and what the language cannot do without."""
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_CAPITAL_WITHIN = re.compile(r"[a-zß-öø-ÿа-яёα-ω][À-ÖØ-ÞА-ЯЁΑ-ΩŁŚŻŹĆČŘŠŽŒŸ]|[A-Z][À-ÖØ-ÞŒŸŠŽ][a-z]")
_TWO_SCRIPTS = re.compile(r"[a-zA-Z](?=[\u0370-\u1fff\u3041-\ud7a3])|[\u0370-\u1fff\u3041-\ud7a3](?=[a-zA-Z])")
_SYMBOL_WITHIN = re.compile(r"[^\W\d_]{2}[\u00a1-\u00a9\u00ac-\u00b6\u00b8\u00b9\u00bc-\u00bf]|[£¹³¼¾][^\W\d_]")
_BEFORE_NO_VOWEL = re.compile(r"ñ(?=[b-df-hj-np-tv-xz])")
"""Spanish has none; Polish has ń there."""
_THAI_ALONE = re.compile("(?<![ก-ฮ])[ัิ-ฺ]|(?<![ก-ฮัิ-ฺ])[็-๎]|[เ-ไ](?![ก-ฮ])|[ะาำ](?=[ะ-ฺ็-๎])")
"""Signs above and below letters, without a letter."""
_MARK_WITHIN = re.compile(r"[^\W\d_][«»“”„‚‘…€•†‡‰‹›ˆ˜™§¤¢¥ƒ¡¿ºª][^\W\d_]")
"""No writing has one there; what has it is a letter of another encoding."""
_ENDLESS_WORD = re.compile(r"[^\W\d_\u0e01-\u0e5b]{40,}")
_BOX_BESIDE = re.compile(r"[^\W\d_][\u2500-\u259f]|[\u2500-\u259f][^\W\d_]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_ODD = (
    *(_CAPITAL_WITHIN, _TWO_SCRIPTS, _SYMBOL_WITHIN, _BEFORE_NO_VOWEL, _THAI_ALONE),
    *(_MARK_WITHIN, _BOX_BESIDE),
)


def detected(data: bytes) -> str | None:
    """Read text whose encoding is not declared and is not UTF-8.

    Returns:
        The text; None if the bytes are not text in any encoding that is known.
    """
    first = _BYTE_BEYOND_ASCII.search(data)
    begin = max(0, first.start() - _BYTES_BEFORE) if first else 0
    sample = data[begin : begin + _SAMPLE_BYTES]
    best: dict[str, float] = {}
    for encoding, common, needed in _DOUBLE_BYTE:
        text = _read(sample, encoding)
        if text is not None:
            best[encoding] = _double_byte_score(sample, text, common, needed)
    for encoding, languages, others in _CANDIDATES:
        text = _read(sample, encoding)
        if text is not None:
            best[encoding] = _single_byte_score(text, languages, others) * _WEIGHTS.get(encoding, 1.0)
    for encoding in sorted(best, key=lambda name: -best[name]):
        if best[encoding] < _LEAST_SCORES.get(encoding, _LEAST_SCORE):
            continue
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _read(sample: bytes, encoding: str) -> str | None:
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(sample) - 4 or len(sample) < _SAMPLE_BYTES:
            return None
        text = sample[: error.start].decode(encoding)  # the sample ends within a character
    return None if _CONTROLS.search(text) else text


def _double_byte_score(sample: bytes, text: str, common: re.Pattern[bytes], needed: re.Pattern[str]) -> float:
    beyond = len(_BEYOND_ASCII.findall(text))
    if not beyond or not needed.search(text):
        return 0.0
    common_count = min(beyond, len(common.findall(sample)))
    mixed = len(_TWO_SCRIPTS.findall(text))
    share = len(needed.findall(text)) / beyond
    # One in four, for a Japanese text may have few kana and a Korean one some Chinese characters.
    return common_count / beyond - mixed / beyond + 0.2 * min(1.0, 4 * share)


def _single_byte_score(text: str, languages: tuple[str, ...], others: str) -> float:
    counts = Counter(_BEYOND_ASCII.findall(text))
    if not counts:
        return 0.0
    best = max(_language_score(counts, letters, "".join(languages), others) for letters in languages)
    odd = sum(len(pattern.findall(text)) for pattern in _ODD)
    odd += sum(len(word) for word in _ENDLESS_WORD.findall(text))
    return (best - odd) / counts.total()


def _language_score(counts: Counter[str], letters: str, all_letters: str, others: str) -> float:
    common, _, less_common = letters.partition(" ")
    score = 0.0
    for character, count in counts.items():
        small = character.lower()
        if small in common or character in others:
            score += count
        elif small in less_common:
            score += count * _LESS_COMMON
        else:
            score += count * (_OF_ANOTHER_LANGUAGE if small in all_letters else -0.5)
    return score
