"""The names of what questions ask for without naming it: who asks how heavy a thing is finds its weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_evidence.terms import terms

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["attributes_asked"]

_ATTRIBUTES = {
    term: frozenset(terms(names))
    for asked, names in {
        "heavy": "weight",
        "cost": "price",
        "price": "cost",
        "expensive": "price",
        "tall": "height",
        "high": "height",
        "old": "age",
        "fast": "speed",
        "deep": "depth",
        "wide": "width",
        "long": "length duration period",
        "loud": "noise",
        "far": "distance",
        "big": "size",
        "large": "size",
        "phone": "telephone",
        "employees": "people staff workforce headcount colleagues persons",
        "people": "employees staff persons inhabitants residents population",
        "inhabitants": "population people residents",
        "ill": "sick",
        "vacation": "holiday leave",
        "boss": "manager head",
        "cfo": "finance financial",
        "cto": "technology technical",
        "coo": "operations operating",
        "cmo": "marketing",
        "ceo": "executive",
        "database": "PostgreSQL MariaDB MySQL SQLite Oracle MongoDB Redis",
        "browser": "Chrome Firefox Safari Edge",
        "encryption": "AES RSA TLS encrypted",
        "currency": "EUR euro USD dollar GBP CHF",
        "多重": "重量",
        "多高": "高度",
        "多宽": "宽度",
        "多快": "速度",
        "多远": "距离",
        "多久": "期限",
        "少钱": "价格",
    }.items()
    for term in terms(asked)
}


def attributes_asked(question: str) -> Mapping[str, frozenset[str]]:
    """The terms of a question that ask for something by another name, each with the terms of its names."""
    return {term: _ATTRIBUTES[term] for term in terms(question) if term in _ATTRIBUTES}
