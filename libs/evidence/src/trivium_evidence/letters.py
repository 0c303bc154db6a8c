"""Letters in other forms, as PDFs and old encodings have them, made those that they stand for."""

from __future__ import annotations

import re
import unicodedata

# Ligatures, Arabic letters by their place, small, vertical, full-width, half-width and mathematical letters, and
# compatible ideographs. Not what says something else: of 10⁶ nothing would be left but 106.
_FORMS = re.compile("[\u2e80-\u2fdf\uf900-\ufdff\ufe30-\ufefe\uff00-\uffef\U0001d400-\U0001d7ff]+")


def plain_letters(text: str) -> str:
    """Gives a text as models were trained on it: one with a ligature or full-width letters is a stranger to them."""
    return text if text.isascii() else _FORMS.sub(lambda form: unicodedata.normalize("NFKC", form[0]), text)
