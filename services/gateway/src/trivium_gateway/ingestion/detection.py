"""Tells the encoding of text that declares none, by which reading of its bytes looks like writing.

A reading is judged by its characters beyond ASCII: common ones of the encoding's languages speak for it, rare ones and
symbols against it, and so do capitals within words and words of two scripts.
"""

import re
from collections import Counter

__all__ = ["detected"]

_SAMPLE_BYTES = 40_000
_LEAST_SCORE = 0.45
"""By character; below it the bytes are taken for no text at all."""

_MARKS = "«»“”„‘’–—…€°§·"
_CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяё"
_GREEK = "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋ"
_THAI = "".join(map(chr, (*range(0x0E01, 0x0E3B), *range(0x0E3F, 0x0E5A))))
_CANDIDATES: tuple[tuple[str, str, str], ...] = (
    ("cp1252", "äöüßéèêëàâáçñóôíîïúûÄÖÜÉÈÀÅØÇÑÁÓÍÚ£²³µ¡¿®©ªº" + _MARKS, "ìùøæåãõòðþýÿ"),
    ("cp1250", "ąęłńśźżčďéěíóřšúůýžáôäöüűăâîşţŁŚŻŹČŘŠŽÁÉÍÖÜŐÚ" + _MARKS, "ćőňťľĆ"),
    ("iso8859_2", "ąęłńśźżčďéěíóřšúůýžáôäöüűăâîşţŁŚŻŹČŘŠŽÁÉÍÖÜŐÚ", "ćőňťľĆ"),
    ("cp1254", "çğıöşüÇĞİÖŞÜ" + _MARKS, "âîû"),
    ("cp1255", "אבגדהוזחטיךכלםמןנסעףפץצקרשת" + _MARKS, ""),
    ("cp1251", _CYRILLIC + _CYRILLIC.upper() + _MARKS + "іїєґІЇЄ№", ""),
    ("koi8_r", _CYRILLIC + _CYRILLIC.upper(), ""),
    ("cp1253", _GREEK + _GREEK.upper() + _MARKS, ""),
    ("cp874", _THAI, ""),
    ("cp1256", "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهويپچژگ،؛؟", ""),
)
"""By encoding: the characters that its languages are full of, and some that count a little less. What comes first wins
where two readings are as good."""
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
_CAPITAL_WITHIN = re.compile(r"[a-zß-öø-ÿа-яёα-ω][À-ÖØ-ÞА-ЯЁΑ-ΩŁŚŻŹĆČŘŠŽ]")
_TWO_SCRIPTS = re.compile(r"[a-zA-Z](?=[\u0370-\u1fff\u3041-\ud7a3])|[\u0370-\u1fff\u3041-\ud7a3](?=[a-zA-Z])")
_SYMBOL_WITHIN = re.compile(r"[^\W\d_]{2}[\u00a1-\u00a9\u00ac-\u00b6\u00b8\u00b9\u00bc-\u00bf]|[£¹³¼¾][^\W\d_]")
_BEFORE_NO_VOWEL = re.compile(r"ñ(?=[b-df-hj-np-tv-xz])")
"""Spanish has none; Polish has ń there."""
_THAI_ALONE = re.compile("(?<![ก-ฮ])[ัิ-ฺ]|(?<![ก-ฮัิ-ฺ])[็-๎]|[เ-ไ](?![ก-ฮ])|[ะาำ](?=[ะ-ฺ็-๎])")
"""Signs above and below letters, without a letter."""
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_ODD = (_CAPITAL_WITHIN, _TWO_SCRIPTS, _SYMBOL_WITHIN, _BEFORE_NO_VOWEL, _THAI_ALONE)


def detected(data: bytes) -> str | None:
    """Read text whose encoding is not declared and is not UTF-8.

    Returns:
        The text; None if the bytes are not text in any encoding that is known.
    """
    sample = data[:_SAMPLE_BYTES]
    best: dict[str, float] = {}
    for encoding, common, needed in _DOUBLE_BYTE:
        text = _read(sample, encoding)
        if text is not None:
            best[encoding] = _double_byte_score(sample, text, common, needed)
    for encoding, letters, less_common in _CANDIDATES:
        text = _read(sample, encoding)
        if text is not None:
            best[encoding] = _single_byte_score(text, letters, less_common) * _WEIGHTS.get(encoding, 1.0)
    for encoding in sorted(best, key=lambda name: -best[name]):
        if best[encoding] < _LEAST_SCORE:
            break
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


def _single_byte_score(text: str, letters: str, less_common: str) -> float:
    counts = Counter(_BEYOND_ASCII.findall(text))
    if not counts:
        return 0.0
    score = sum(
        count * (1.0 if character in letters else 0.8 if character in less_common else -0.5)
        for character, count in counts.items()
    )
    odd = sum(len(pattern.findall(text)) for pattern in _ODD)
    return (score - odd) / counts.total()
