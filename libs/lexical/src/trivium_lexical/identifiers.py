"""Words as they are written, whole and in parts: identifiers, numbers, versions, paths, addresses."""

from collections.abc import Iterator
from dataclasses import dataclass

import regex

from trivium_lexical.folding import fold

__all__ = ["Written", "written"]

_MAX_PARTS = 32
_MAX_CHARACTERS = 256

_PLAIN = regex.compile(r"\p{Lu}?[\p{Ll}\p{Lo}\p{Lm}\p{M}]+|\p{Lu}[\p{Lu}\p{M}]*s?")
_ABBREVIATIONS = regex.compile(r"\p{Lu}{2,}s")
_PIECES = regex.compile(r"[/\\@]+")
_COMPONENTS = regex.compile(r"[.:,]+")
_JOINTS = regex.compile(r"[-_'&+]+")
# Before a capital after a small letter, before the last of several capitals that a small letter follows, and between
# letters and digits: fooBar, HTTPServer, PPR9087.
_ATOMS = regex.compile(r"\p{N}+|\p{Lu}+s?(?![\p{Ll}\p{M}])|\p{Lu}?[\p{Ll}\p{Lo}\p{Lm}\p{M}]+|\p{Lu}+|[\p{L}\p{M}]+")
_JOINED_BY = regex.compile(r"[-_']+")
_GROUPED = regex.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,3}(?:'\d{3})+)(\.\d+)?|(\d{1,3}(?:\.\d{3})+),(\d+)")
_DECIMAL_COMMA = regex.compile(r"(\d+),(\d+)")
_GROUPED_BY_POINTS = regex.compile(r"\d{1,3}(?:\.\d{3})+")
_NO_FRACTION = regex.compile(r"(\d+)\.0+")
_MEASURE = regex.compile(r"(\d+(?:[.,:]\d+)*)(\p{L}{1,5}(?:/\p{L}{1,3})?)")
_NOT_SHARP = regex.compile(r"\p{L}{3,}#")


@dataclass(frozen=True, slots=True)
class Written:
    """A word as a text has it.

    Attributes:
        whole: The folded word: identifiers without the hyphens that people leave out, numbers without their
            separators.
        parts: The folded parts of an identifier or number, none twice, and other writings of the whole.
        words: Which of whole and parts are ordinary words, as they are written.
    """

    whole: str
    parts: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def written(token: str) -> Written:
    """Take a word apart.

    Args:
        token: A normalised word, without spaces.
    """
    if _ABBREVIATIONS.fullmatch(token):  # PDFs
        return Written(fold(token), (fold(token[:-1]),))
    if _PLAIN.fullmatch(token):
        return Written(fold(token), (), (token,))
    token = token[:_MAX_CHARACTERS]
    if _NOT_SHARP.fullmatch(token):
        return written(token[:-1])
    if token.lower().endswith("'s"):
        return written(token[:-2])
    if token[0] == "." and token[1].isdigit():
        token = f"0{token}"
    if number := _number(token):
        return number
    if match := _MEASURE.fullmatch(token):
        return _measure(match[1], match[2])
    parts: dict[str, None] = {}
    words: dict[str, None] = {}
    for part, word in _parts_of(token):
        if len(parts) >= _MAX_PARTS:
            break
        parts.setdefault(part)
        if word:
            words.setdefault(word)
    whole = _joined(token)
    parts.pop(whole, None)
    return Written(whole, tuple(parts), tuple(words))


def _number(token: str) -> Written | None:
    """A number with separators, by its value."""
    if match := _GROUPED.fullmatch(token):
        head, fraction, by_points, by_comma = match.groups()
        value = (head or by_points).replace(",", "").replace("'", "").replace(".", "")
        value += fraction or (f".{by_comma}" if by_comma else "")
    elif match := _DECIMAL_COMMA.fullmatch(token):
        value = f"{match[1]}.{match[2]}"
    else:
        return None
    if match := _NO_FRACTION.fullmatch(value):
        return Written(match[1])
    return Written(value, (value.partition(".")[0],) if "." in value else ())


def _measure(number: str, unit: str) -> Written:
    """A number and what stands right behind it: 24V and 24 V, 10km/h and 10 km/h are one."""
    value, of_unit = written(number), written(unit)
    parts = dict.fromkeys((value.whole, of_unit.whole, *value.parts, *of_unit.parts))
    return Written(f"{value.whole}{of_unit.whole}", tuple(parts), of_unit.words)


def _parts_of(token: str) -> Iterator[tuple[str, str]]:
    """Each part, folded, and as it is written where it is an ordinary word."""
    pieces = [piece for piece in _PIECES.split(token) if piece]
    if pieces[1:] and all(map(str.isalpha, pieces)):
        yield fold("".join(pieces)), ""  # TCP/IP, I/O
    for piece in pieces:
        yield _joined(piece), ""
        if piece[-1] in "+#":
            continue  # C is no part of C++ and C#
        if "++" in piece:  # C++17
            head, _, tail = fold(piece).rpartition("++")
            yield f"{head}++", ""
            yield tail, ""
            continue
        components = [one for one in _COMPONENTS.split(piece) if one]
        if len(components) > 2 and all(one[-1].isdigit() for one in components):
            for end in range(2, len(components)):  # 10.0 of 10.0.0.1
                yield fold(".".join(components[:end])).lstrip("v"), ""
        if components[1:] and components[0][:1] in "vV" and components[0][1:].isdigit():
            yield fold(piece)[1:], ""  # 2.3.1 of v2.3.1
        if components[1:] and all(map(str.isalpha, components)):
            yield fold("".join(components)), ""  # U.S.A., Node.js
        if _GROUPED_BY_POINTS.fullmatch(piece):
            yield piece.replace(".", ""), ""
        if match := _NO_FRACTION.fullmatch(piece):
            yield match[1], ""
        for component in components:
            yield _joined(component), ""
            for joint in filter(None, _JOINTS.split(component)):
                yield from _atoms_of(joint)


def _atoms_of(joint: str) -> Iterator[tuple[str, str]]:
    yield fold(joint), ""
    for match in _ATOMS.finditer(joint):
        atom = match[0]
        if atom[0].isdigit():
            yield atom, ""
            if len(value := atom.lstrip("0")) > 1:
                yield value, ""  # 942 of INV-00942
        elif len(atom) > 1:
            yield fold(atom), atom


def _joined(token: str) -> str:
    return fold(_JOINED_BY.sub("", token)).replace("\\", "/")
