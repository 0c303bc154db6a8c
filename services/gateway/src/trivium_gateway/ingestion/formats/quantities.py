"""Numbers with units of LaTeX's package siunitx, as people write them."""

import re

__all__ = ["written_quantities"]

_BRACES = r"\{([^{}\n]{0,200})\}"
_OPTIONS = r"(?:\[[^\]\n]{0,200}\])?"
_QUANTITY = re.compile(rf"\\(?:SI|qty){_OPTIONS}{_BRACES}{_BRACES}")
_NUMBER = re.compile(rf"\\num{_OPTIONS}{_BRACES}")
_UNIT = re.compile(rf"\\(?:si|unit){_OPTIONS}{_BRACES}")
_PART = re.compile(r"\\([a-zA-Z]{1,30})|([^\\\s]{1,200})|\s+")
_EXPONENT = re.compile(r"(?<=\d)[eE]([+-]?\d{1,5})$")
_PREFIXES = frozenset(
    ("kilo", "mega", "giga", "tera", "hecto", "deca", "deci", "centi", "milli", "micro", "nano", "pico")
)
_SIGNS = {"per": "/", "squared": "\u00b2", "cubed": "\u00b3", "percent": "%", "degreeCelsius": "°C", "celsius": "°C"}
_JOINED = frozenset(("/", "\u00b2", "\u00b3"))


def written_quantities(text: str) -> str:
    """Write quantities in a text, for example `5 bar`, `2 kilometre/second`, `3×10^8`; the rest stays as it is."""
    text = _QUANTITY.sub(lambda found: f"{_number(found[1])} {_unit(found[2])}".rstrip(), text)
    text = _NUMBER.sub(lambda found: _number(found[1]), text)
    return _UNIT.sub(lambda found: _unit(found[1]), text)


def _number(text: str) -> str:
    return _EXPONENT.sub(r"×10^\1", text.strip())


def _unit(text: str) -> str:
    written = ""
    is_joined = True
    for found in _PART.finditer(text):
        name = found[1] or found[2]
        if not name:
            continue
        said = _SIGNS.get(name, name) if found[1] else name
        written += said if is_joined or said in _JOINED else f" {said}"
        is_joined = said == "/" or name in _PREFIXES
    return written
