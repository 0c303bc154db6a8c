"""XML that declares entities of its own: those that are short are expanded within bounds, bombs are refused."""

import re
from contextlib import suppress
from html.entities import html5
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers import expat

from defusedxml import DefusedXmlException, EntitiesForbidden
from defusedxml.ElementTree import DefusedXMLParser, fromstring

from trivium_gateway.ingestion.formats.bounds import broken

__all__ = ["parse_with_entities"]

_WHAT = "XML"
_MOST_ENTITIES = 1000
_MOST_ENTITY_CHARACTERS = 10_000
"""Longest that an entity may be with those that it has in it."""
_MOST_EXPANDED = 1_000_000
"""So many characters may come out of any file; out of a larger one as many as it has."""
_REFERENCE = re.compile(r"&([^#;\s&][^;\s&]{0,99});")
_NAMED = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,31});")
_OF_XML = frozenset(("lt", "gt", "amp", "quot", "apos"))


def parse_with_entities(data: bytes) -> Element:
    """Parse XML, with the entities that it declares, if they are short, and those that HTML has.

    Raises:
        InvalidField: It is not well-formed, refers to another file, or to entities that multiply (FILE_BROKEN).
    """
    try:
        try:
            return _root(fromstring(data))
        except ParseError as error:
            if error.code != expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]:
                raise
            return _root(fromstring(_NAMED.sub(_by_number, data)))
        except EntitiesForbidden:
            _check_declared(data)
            parser = DefusedXMLParser(target=_Bounded(max(len(data), _MOST_EXPANDED)), forbid_entities=False)
            parser.feed(data)
            return _root(parser.close())
    except (ParseError, expat.ExpatError, DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise broken(_WHAT) from error


def _root(element: Any) -> Element:
    found: Element = element
    return found


def _by_number(found: re.Match[bytes]) -> bytes:
    name = found[1].decode()
    signs = html5.get(f"{name};", "") if name not in _OF_XML else ""
    return "".join(f"&#{ord(sign)};" for sign in signs).encode() or found[0]


def _check_declared(data: bytes) -> None:
    """Look at what is declared before the first element."""
    values: dict[str, str] = {}

    def declared(name: str, is_parameter: bool, value: str | None, *_: object) -> None:
        if is_parameter or value is None or len(values) >= _MOST_ENTITIES:
            raise broken(_WHAT)
        values.setdefault(name, value)

    def begun(*_: object) -> None:
        raise _BegunError

    parser = expat.ParserCreate()
    parser.EntityDeclHandler, parser.StartElementHandler = declared, begun
    with suppress(_BegunError):
        parser.Parse(data, True)
    lengths: dict[str, int] = {}
    for name in values:
        _length(name, values, lengths, 0)


def _length(name: str, values: dict[str, str], lengths: dict[str, int], depth: int) -> int:
    """Find how long an entity is with those that it has in it."""
    if depth > _MOST_ENTITIES // 10:
        raise broken(_WHAT)
    if name not in lengths:
        value = values.get(name, "")
        inner = sum(_length(found[1], values, lengths, depth + 1) for found in _REFERENCE.finditer(value))
        lengths[name] = len(value) + inner
    if lengths[name] > _MOST_ENTITY_CHARACTERS:
        raise broken(_WHAT)
    return lengths[name]


class _BegunError(Exception):
    """The first element has begun."""


class _Bounded(TreeBuilder):
    """Builds a tree that has no more in it than this."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most

    def data(self, data: str) -> None:
        self._count(len(data))
        super().data(data)

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self._count(len(tag) + sum(map(len, attrs.values())))
        element: Element = super().start(tag, attrs)
        return element

    def _count(self, length: int) -> None:
        self._left -= length
        if self._left < 0:
            raise broken(_WHAT)
