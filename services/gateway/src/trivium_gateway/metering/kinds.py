"""What is counted, and how a limit of it is written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

_AMOUNT = re.compile(r"\d{1,15}")
_RATE = re.compile(r"(\d{1,15})/(\d{0,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST_SECONDS = 366 * 86_400
LEAST_WEIGHT, MOST_WEIGHT = 0.1, 10.0


class Kind(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    """Calls that ask something, or that are about documents, collections or jobs."""
    EMBEDDED_TOKENS = "embedded_tokens"
    RERANKED_TOKENS = "reranked_tokens"
    PROMPT_TOKENS = "prompt_tokens"
    COMPLETION_TOKENS = "completion_tokens"
    PAGES = "pages"
    """Pages of files whose text was read."""
    DOCUMENTS = "documents"
    """Documents that were written."""
    BYTES = "bytes"
    """Their text, in UTF-8."""
    STORED_DOCUMENTS = "stored_documents"
    """Documents that there are."""
    STORED_BYTES = "stored_bytes"
    """Their text, in UTF-8."""


STORED_KINDS = (Kind.STORED_DOCUMENTS, Kind.STORED_BYTES)
"""What there is at one moment, and not what was used within a time."""
USED_KINDS = tuple(kind for kind in Kind if kind not in STORED_KINDS)


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored.

    Attributes:
        documents: How many documents.
        bytes: Their text, in UTF-8.
    """

    documents: int = 0
    bytes: int = 0

    def __add__(self, other: Self) -> Self:
        return replace(self, documents=self.documents + other.documents, bytes=self.bytes + other.bytes)

    def __sub__(self, other: Self) -> Self:
        return replace(self, documents=self.documents - other.documents, bytes=self.bytes - other.bytes)

    def of(self, kind: Kind) -> int:
        """How much of one of STORED_KINDS."""
        return self.documents if kind is Kind.STORED_DOCUMENTS else self.bytes


class Operation(StrEnum):
    """What a call does, by which it is known what it may use."""

    ANSWER = "answer"
    RETRIEVE = "retrieve"
    RERANK = "rerank"
    EMBED = "embed"
    INGEST = "ingest"
    OTHER = "other"


_TOKENS_OF_A_SEARCH = (Kind.EMBEDDED_TOKENS, Kind.RERANKED_TOKENS)
_TOKENS_OF_A_MODEL = (Kind.PROMPT_TOKENS, Kind.COMPLETION_TOKENS)
USED_BY: Mapping[Operation, tuple[Kind, ...]] = {
    Operation.ANSWER: (*_TOKENS_OF_A_SEARCH, *_TOKENS_OF_A_MODEL),
    Operation.RETRIEVE: (*_TOKENS_OF_A_SEARCH, *_TOKENS_OF_A_MODEL),
    Operation.RERANK: (Kind.RERANKED_TOKENS,),
    Operation.EMBED: (Kind.EMBEDDED_TOKENS,),
    Operation.INGEST: (Kind.EMBEDDED_TOKENS, Kind.PAGES, Kind.DOCUMENTS, Kind.BYTES),
    Operation.OTHER: (),
}
"""What a call may use beside being a request; how much of it, nobody knows before it is done."""


_KINDS = {
    "query": Kind.EMBEDDED_TOKENS,
    "document": Kind.EMBEDDED_TOKENS,
    "reranked": Kind.RERANKED_TOKENS,
    "prompt": Kind.PROMPT_TOKENS,
    "completion": Kind.COMPLETION_TOKENS,
}


def used_of(tokens: Mapping[str, int]) -> Counter[Kind]:
    """What was used, by the tokens that a record has of each kind: see TOKEN_KINDS."""
    used: Counter[Kind] = Counter()
    for kind, count in tokens.items():
        used[_KINDS[kind]] += count
    return used


@dataclass(frozen=True, slots=True)
class Rate:
    """So much in so long a time: a bucket that holds `amount`, and is filled again within `seconds`.

    Attributes:
        amount: How much; 0 for nothing at all.
        seconds: In which time; 0 for what may be there at one moment.
    """

    amount: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `600/m`, `100000/d`, `50/10s`.

        Raises:
            ValueError: It is no such text.
        """
        match = _RATE.fullmatch(text.strip())
        seconds = int(match[2] or 1) * _SECONDS[match[3]] if match else 0
        if match is None or not 0 < seconds <= _LONGEST_SECONDS:
            raise ValueError(f"{text[:40]!r} is no limit such as 600/m, 100000/d or 50/10s")
        return cls(int(match[1]), seconds)

    @classmethod
    def of_stored(cls, text: str) -> Self:
        """Reads how much may be there: `10000`.

        Raises:
            ValueError: It is no such text.
        """
        if not _AMOUNT.fullmatch(text.strip()):
            raise ValueError(f"{text[:40]!r} is no number of what may be stored, such as 10000")
        return cls(int(text), 0)

    def __str__(self) -> str:
        """The same text again."""
        if not self.seconds:
            return str(self.amount)
        unit = next(unit for unit in "dhms" if self.seconds % _SECONDS[unit] == 0)
        count = self.seconds // _SECONDS[unit]
        return f"{self.amount}/{count if count > 1 else ''}{unit}"


Limits = Mapping[Kind, Rate]


def parse_limits(texts: Mapping[str, str]) -> dict[Kind, Rate]:
    """Reads limits by the names of what they limit.

    Raises:
        ValueError: A name or a limit is none.
    """
    limits = {}
    for name, text in texts.items():
        if name not in set(Kind):
            raise ValueError(f"{name[:40]!r} is not counted; {', '.join(Kind)} are")
        limits[Kind(name)] = Rate.of_stored(text) if name in STORED_KINDS else Rate.parse(text)
    return limits


def parse_setting(text: str) -> dict[Kind, Rate]:
    """Reads limits as settings have them: `requests=600/m,stored_documents=10000`.

    Raises:
        ValueError: It reads otherwise.
    """
    pairs = [one.partition("=") for one in text.split(",") if one.strip()]
    return parse_limits({name.strip(): rate for name, _, rate in pairs})


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant, or one of its keys, may use.

    Attributes:
        tenant: The tenant.
        key_id: The key; empty for the tenant as a whole.
        limits: Its limits; what is not among them is not limited.
        weight: Its part of what tenants share, in proportion to those of the others.
    """

    tenant: str
    key_id: str = ""
    limits: Limits = field(default_factory=dict)
    weight: float = 1.0

    def as_json(self) -> dict[str, Any]:
        """All of it, to be kept."""
        return {
            "tenant": self.tenant,
            "key": self.key_id,
            "limits": {kind.value: str(rate) for kind, rate in self.limits.items()},
            "weight": self.weight,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """What was kept."""
        return cls(kept["tenant"], kept["key"], parse_limits(kept["limits"]), kept["weight"])


@dataclass(frozen=True, slots=True)
class Entry:
    """What was used of one kind by one key within one hour.

    Attributes:
        hour: Hours since 1970.
        tenant: Whose.
        key_id: By which key, or which user with a token.
        kind: What.
    """

    hour: int
    tenant: str
    key_id: str
    kind: Kind
